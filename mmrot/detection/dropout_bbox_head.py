from mmdet.models import Shared2FCBBoxHead
from torch import nn

from mmrot.registry import MODELS


@MODELS.register_module()
class DropoutBBoxHead(Shared2FCBBoxHead):
    """mmdet's ``Shared2FCBBoxHead`` with dropout of 0.5 after both shared layers.

    As fc6 and fc7 of CaffeNet in Girshick, *Fast R-CNN*, ICCV 2015.

    Args:
        **kwargs: Arguments of mmdet's ``Shared2FCBBoxHead``.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        # mmdet applies self.relu after every shared layer
        self.relu = nn.Sequential(nn.ReLU(inplace=True), nn.Dropout(0.5))
