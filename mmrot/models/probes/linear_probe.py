from mmengine.model import BaseModule
from torch import Tensor, nn

from mmrot.errors import UserError
from mmrot.registry import MODELS

_POOLS = {'max': nn.AdaptiveMaxPool2d, 'avg': nn.AdaptiveAvgPool2d}


@MODELS.register_module()
class LinearProbe(BaseModule):
    """Pooling, batch norm without affine parameters, linear classifier (Tables 5 and 6).

    The protocol of Zhang et al. (2016), with the layers of the authors'
    released code: AlexNet's maps are adaptively max pooled to 12, 7, 5, 6 and 6
    for conv1 to conv5, about 9,000 elements each.

    Args:
        in_channels: Channels C of the map.
        num_classes: Number of classes.
        pool_size: Side P of the pooled map.
        pool: ``'max'`` or ``'avg'``.
        window: Kernel size, stride and padding of an average pool that returns sides
            of P for the images of the source. Adaptive pooling by default.
        with_bn: Whether to normalise after pooling. MoCo's protocol for averaged
            maps does not.
        init_cfg: Initialisation; weights from N(0, 2 / fan-out) and biases 0, as in
            the released code, by default.

    Raises:
        UserError: If ``pool`` is unknown, or a window is given for max pooling.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        pool_size: int,
        pool: str = 'max',
        with_bn: bool = True,
        window: tuple[int, int, int] | None = None,
        init_cfg: dict | None = dict(type='Kaiming', layer='Linear'),
    ) -> None:
        super().__init__(init_cfg)
        if pool not in _POOLS:
            raise UserError(f"pool={pool!r} is not 'max' or 'avg'.")
        if window is not None and pool != 'avg':
            raise UserError(f"window={window} requires pool='avg'.")
        self.pool = _POOLS[pool](pool_size) if window is None else nn.AvgPool2d(*window)
        self.bn = nn.BatchNorm2d(in_channels, affine=False) if with_bn else nn.Identity()
        self.fc = nn.Linear(in_channels * pool_size**2, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits (N, num_classes) of maps (N, C, H, W)."""
        return self.fc(self.bn(self.pool(x)).flatten(1))
