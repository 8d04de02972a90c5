from collections.abc import Sequence

from mmpretrain.models import ResNet as MMPretrainResNet
from torch import Tensor

from mmrot.errors import UserError
from mmrot.registry import MODELS

from .layers import select_outputs


@MODELS.register_module()
class ResNet(MMPretrainResNet):
    """mmpretrain's ``ResNet`` that can also return the feature map of its stem.

    The linear classifiers and SVMs of MMSelfSup's ResNet-50 model page use the
    stem after its ReLU ("feature1") and the four stages. Parameters have
    mmpretrain's names, so its checkpoints load.

    Args:
        depth: 18, 34, 50, 101 or 152.
        out_indices: Maps to return, in the order of the network: 0 or ``'stem'``, 1 to
            4 or ``'layer1'`` to ``'layer4'`` for the stages; at least one stage.
        **kwargs: Other arguments of mmpretrain's ``ResNet``.

    Raises:
        UserError: If ``out_indices`` contains no stage or is out of range.
    """

    def __init__(
        self, depth: int, out_indices: Sequence[int | str] = (0, 1, 2, 3, 4), **kwargs
    ) -> None:
        names = ['stem', 'layer1', 'layer2', 'layer3', 'layer4']
        outputs = select_outputs(out_indices, names, names)
        if outputs == ['stem']:
            raise UserError('out_indices selects the stem only; at least one stage is needed.')
        stages = [names.index(name) - 1 for name in outputs if name != 'stem']
        super().__init__(depth, out_indices=stages, **kwargs)
        self.all_outputs = self.indexed_outputs = names
        self.outputs = outputs
        # the module that returns the stem, if it has no name of its own
        self.output_modules = {} if self.deep_stem else {'stem': 'relu'}

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the selected feature maps.

        Args:
            x: (N, 3, H, W).

        Returns:
            Maps (N, C, H', W'), in the order of the stages; that of the stem is
            (N, C, H/2, W/2).
        """
        stem = self.stem(x) if self.deep_stem else self.relu(self.norm1(self.conv1(x)))
        outs = [stem] if 'stem' in self.outputs else []
        x = self.maxpool(stem)
        for name in self.res_layers:
            x = getattr(self, name)(x)
            if name in self.outputs:
                outs.append(x)
        return tuple(outs)
