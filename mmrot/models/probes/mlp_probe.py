from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmrot.models.backbones.layers import norm_relu
from mmrot.registry import MODELS


@MODELS.register_module()
class MLPProbe(BaseModule):
    """Fully connected layers on the flattened map (Tables 1 to 3, "non-linear").

    Each hidden layer is followed by batch norm and ReLU. The paper uses two
    hidden layers of 200 channels.

    Args:
        in_features: Elements D of the flattened map.
        num_classes: Number of classes.
        hidden: Widths of the hidden layers.
        init_cfg: Initialisation; weights from N(0, 2 / fan-out) and biases 0, as in
            the released code, by default.
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        hidden: Sequence[int] = (200, 200),
        init_cfg: dict | None = dict(type='Kaiming', layer='Linear'),
    ) -> None:
        super().__init__(init_cfg)
        self.hidden = nn.Sequential()
        for index, width in enumerate(hidden):
            fc = nn.Linear(in_features, width, bias=False)
            layer = nn.Sequential(norm_relu(fc, dict(type='BN')))
            self.hidden.add_module(f'layer{index + 1}', layer)
            in_features = width
        self.fc = nn.Linear(in_features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits (N, num_classes) of maps (N, C, H, W) with C·H·W = D."""
        return self.fc(self.hidden(x.flatten(1)))
