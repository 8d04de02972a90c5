from mmcv.cnn import build_norm_layer
from mmdet.models import ResLayer
from mmdet.models.backbones import ResNet
from torch import Tensor

from mmrot.registry import MODELS


@MODELS.register_module()
class ResLayerExtraNorm(ResLayer):
    """A ResNet stage, followed by a norm, as the shared head of a C4 detector.

    He et al., *Momentum Contrast for Unsupervised Visual Representation
    Learning*, CVPR 2020, Section 4.2: newly initialised layers have batch norm,
    which helps to calibrate magnitudes.

    Args:
        depth: Depth of the ResNet.
        stage: Index of the stage, 3 for layer4.
        norm_cfg: Normalisation within and after the stage.
        **kwargs: Other arguments of mmdet's ``ResLayer``.
    """

    def __init__(
        self, depth: int, stage: int = 3, norm_cfg: dict = dict(type='BN'), **kwargs
    ) -> None:
        super().__init__(depth, stage, norm_cfg=norm_cfg, **kwargs)
        channels = 64 * 2**stage * ResNet.arch_settings[depth][0].expansion
        self.extra_norm = build_norm_layer(norm_cfg, channels)[1]

    def forward(self, x: Tensor) -> Tensor:
        """Compute the normalised output of the stage.

        Args:
            x: Pooled regions (R, C, H, W) of the previous stage.

        Returns:
            (R, 2C, H/2, W/2) with the default stride of 2.
        """
        return self.extra_norm(super().forward(x))
