from mmdet.models import Shared2FCBBoxHead
from torch import nn

from mmrot.registry import MODELS


@MODELS.register_module()
class DropoutBBoxHead(Shared2FCBBoxHead):
    """mmdet's head of two shared layers, with dropout behind each.

    Girshick, *Fast R-CNN*, ICCV 2015, whose network of CaffeNet drops half of fc6
    and of fc7 in training.

    Args:
        dropout (float): Probability to drop an element.
        **kwargs: The arguments of mmdet's ``Shared2FCBBoxHead``.
    """

    def __init__(self, dropout: float = 0.5, **kwargs) -> None:
        super().__init__(**kwargs)
        # what mmdet applies behind every shared layer
        self.relu = nn.Sequential(nn.ReLU(inplace=True), nn.Dropout(dropout))
