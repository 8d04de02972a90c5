from mmengine.model import BaseModule
from torch import Tensor, nn

from mmrot.models.backbones.nin import nin_block
from mmrot.registry import MODELS


@MODELS.register_module()
class NINBlockProbe(BaseModule):
    """The third block of a NIN, average pooling, linear classifier (Table 3, "conv").

    After block 2 of a RotNet it completes the architecture of the supervised NIN.

    Args:
        in_channels: Channels C of the map.
        num_classes: Number of classes.
        width: Channels of the three layers.
        init_cfg: Initialisation; weights from N(0, 2 / fan-out) and biases 0, as in
            the released code, by default.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        width: int = 192,
        init_cfg: dict | None = dict(type='Kaiming', layer=['Conv2d', 'Linear']),
    ) -> None:
        super().__init__(init_cfg)
        self.block = nin_block(in_channels, (width,) * 3, 3, dict(type='BN'))
        self.fc = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits (N, num_classes) of maps (N, C, H, W)."""
        return self.fc(self.block(x).mean((2, 3)))
