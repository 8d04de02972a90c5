from collections.abc import Sequence

from mmpretrain.models import ResNet as MMPretrainResNet
from torch import Tensor

from mmrot.errors import UserError
from mmrot.registry import MODELS


@MODELS.register_module()
class ResNet(MMPretrainResNet):
    """mmpretrain's ResNet that also gives the map of its stem.

    For the "feature1" of the ResNet-50 model page: its linear classifiers and
    SVMs read the stem behind its ReLU and the four stages. The weights have
    mmpretrain's names, so its checkpoints and those of pretraining load.

    Args:
        depth (int): 18, 34, 50, 101 or 152.
        out_indices (Sequence[int]): Maps to return: 0 is the stem's, 1 to 4 the
            stages'. At least one stage must be among them.
        **kwargs: Arguments of mmpretrain's ``ResNet``.

    Raises:
        UserError: If ``out_indices`` names no stage or is out of range.
    """

    def __init__(self, depth: int, out_indices: Sequence[int] = (0, 1, 2, 3, 4), **kwargs) -> None:
        indices = sorted(set(out_indices))
        if (
            list(out_indices) != indices
            or not indices
            or indices[0] < 0
            or not 0 < indices[-1] < 5
        ):
            raise UserError(
                f'out_indices={tuple(out_indices)}: expected increasing indices from 0 (the stem) '
                'to 4, a stage among them'
            )
        super().__init__(depth, out_indices=[i - 1 for i in indices if i > 0], **kwargs)
        self.with_stem = indices[0] == 0

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Give the chosen maps.

        Args:
            x (Tensor): (N, 3, H, W).

        Returns:
            tuple[Tensor, ...]: Maps (N, C, H', W'), in the order of the stages;
            the stem's has half the side of the images.
        """
        stem = self.stem(x) if self.deep_stem else self.relu(self.norm1(self.conv1(x)))
        outs = [stem] if self.with_stem else []
        x = self.maxpool(stem)
        for index, name in enumerate(self.res_layers):
            x = getattr(self, name)(x)
            if index in self.out_indices:
                outs.append(x)
        return tuple(outs)
