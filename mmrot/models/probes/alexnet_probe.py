from mmengine.model import BaseModule
from torch import Tensor, nn

from mmrot.errors import UserError
from mmrot.models.backbones.alexnet import AlexNet, alexnet_stage
from mmrot.registry import MODELS


@MODELS.register_module()
class AlexNetProbe(BaseModule):
    """AlexNet's own layers behind a stage, and a linear layer (Table 4).

    The protocol of Noroozi and Favaro (2016), with batch norm and without
    dropout: behind conv4 it trains conv5, fc6, fc7 and the classifier.

    Args:
        behind (str): The frozen stage, ``'conv1'`` to ``'fc6'``.
        num_classes (int): Number of classes.
        init_cfg (dict, optional): Initialisation.

    Raises:
        UserError: If there is no such stage, or nothing behind it.
    """

    def __init__(self, behind: str, num_classes: int, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg or dict(type='Kaiming', layer=['Conv2d', 'Linear']))
        if behind not in AlexNet.STAGES[:-1]:
            raise UserError(f'behind={behind!r}: expected one of {", ".join(AlexNet.STAGES[:-1])}')
        self.stages = AlexNet.STAGES[AlexNet.STAGES.index(behind) + 1 :]
        for name in self.stages:
            self.add_module(name, alexnet_stage(name, dict(type='BN')))
        self.fc = nn.Linear(4096, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Classify what the stage gave: logits (N, num_classes)."""
        for name in self.stages:
            if name == 'fc6':
                x = x.flatten(1)  # (N, 9216)
            x = getattr(self, name)(x)
        return self.fc(x)
