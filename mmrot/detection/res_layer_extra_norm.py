from mmcv.cnn import build_norm_layer
from mmdet.models import ResLayer
from mmdet.models.backbones import ResNet
from torch import Tensor

from mmrot.registry import MODELS


@MODELS.register_module()
class ResLayerExtraNorm(ResLayer):
    """A stage of ResNet as the shared head of a C4 detector, and a norm behind it.

    He et al., *Momentum Contrast for Unsupervised Visual Representation
    Learning*, CVPR 2020, section 4.2: layers that are added to a pretrained
    network have batch norm, which helps to adjust the magnitudes.

    Args:
        depth (int): Of the ResNet.
        stage (int): Which stage, 3 for layer4.
        norm_cfg (dict): Of the stage and of the norm behind it.
        **kwargs: The other arguments of mmdet's ``ResLayer``.
    """

    def __init__(
        self, depth: int, stage: int = 3, norm_cfg: dict = dict(type='BN'), **kwargs
    ) -> None:
        super().__init__(depth, stage, norm_cfg=norm_cfg, **kwargs)
        channels = 64 * 2**stage * ResNet.arch_settings[depth][0].expansion
        self.extra_norm = build_norm_layer(norm_cfg, channels)[1]

    def forward(self, x: Tensor) -> Tensor:
        """Compute the stage, then normalise.

        Args:
            x (Tensor): Pooled regions (R, C, H, W) of the stage before.

        Returns:
            Tensor: (R, 2C, H/2, W/2) with the default stride of 2.
        """
        return self.extra_norm(super().forward(x))
