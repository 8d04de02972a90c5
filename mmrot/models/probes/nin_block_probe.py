from mmengine.model import BaseModule
from torch import Tensor, nn

from mmrot.models.backbones.nin import nin_block
from mmrot.registry import MODELS


@MODELS.register_module()
class NINBlockProbe(BaseModule):
    """The third block of a NIN, average pooling and a linear layer (Table 3, "conv").

    On block 2 of a RotNet it makes the network of the supervised NIN.

    Args:
        in_channels (int): Channels C of the map.
        num_classes (int): Number of classes.
        width (int): Channels of the three layers.
        init_cfg (dict, optional): Initialisation.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        width: int = 192,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg or dict(type='Kaiming', layer=['Conv2d', 'Linear']))
        self.block = nin_block(in_channels, (width,) * 3, 3, dict(type='BN'))
        self.fc = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Classify maps (N, C, H, W): logits (N, num_classes)."""
        return self.fc(self.block(x).mean((2, 3)))
