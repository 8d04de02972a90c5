from collections.abc import Sequence

from mmpretrain.models import ResNet as MMPretrainResNet
from torch import Tensor

from mmrot.errors import UserError
from mmrot.registry import MODELS


@MODELS.register_module()
class ResNet(MMPretrainResNet):
    """mmpretrain's ``ResNet`` that can also return the feature map of its stem.

    The linear classifiers and SVMs of MMSelfSup's ResNet-50 model page use the
    stem after its ReLU ("feature1") and the four stages. Parameters have
    mmpretrain's names, so its checkpoints load.

    Args:
        depth: 18, 34, 50, 101 or 152.
        out_indices: Maps to return, in increasing order: 0 for the stem, 1 to 4
            for the stages; at least one stage.
        **kwargs: Other arguments of mmpretrain's ``ResNet``.

    Raises:
        UserError: If ``out_indices`` contains no stage or is out of range.
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
                f'out_indices={tuple(out_indices)} are not increasing indices from 0 (the stem) '
                'to 4 with at least one stage.'
            )
        super().__init__(depth, out_indices=[i - 1 for i in indices if i > 0], **kwargs)
        self.with_stem = indices[0] == 0

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the selected feature maps.

        Args:
            x: (N, 3, H, W).

        Returns:
            Maps (N, C, H', W'), in the order of the stages; that of the stem is
            (N, C, H/2, W/2).
        """
        stem = self.stem(x) if self.deep_stem else self.relu(self.norm1(self.conv1(x)))
        outs = [stem] if self.with_stem else []
        x = self.maxpool(stem)
        for index, name in enumerate(self.res_layers):
            x = getattr(self, name)(x)
            if index in self.out_indices:
                outs.append(x)
        return tuple(outs)
