from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmrot.registry import MODELS

from .layers import check_frozen_stages, check_out_indices, freeze, norm_relu

# in channels, out channels, kernel size, stride, padding; a 3x3 max pool follows
_CONVS = {
    'conv1': (3, 64, 11, 4, 2, True),
    'conv2': (64, 192, 5, 1, 2, True),
    'conv3': (192, 384, 3, 1, 1, False),
    'conv4': (384, 256, 3, 1, 1, False),
    'conv5': (256, 256, 3, 1, 1, False),
}


def alexnet_stage(name: str, norm_cfg: dict | None) -> nn.Module:
    """Build one stage of AlexNet.

    Args:
        name (str): One of ``AlexNet.STAGES``.
        norm_cfg (dict, optional): Normalisation behind the layer.

    Returns:
        nn.Module: Takes the output of the stage before; fc6 a flat one.
    """
    if name in _CONVS:
        in_channels, channels, size, stride, padding, pool = _CONVS[name]
        conv = nn.Conv2d(in_channels, channels, size, stride=stride, padding=padding)
        stage = nn.Sequential(norm_relu(conv, norm_cfg))
        if pool:
            stage.add_module('pool', nn.MaxPool2d(3, stride=2))
        return stage
    if name == 'pool5':
        return nn.MaxPool2d(3, stride=2)
    in_features = 256 * 6 * 6 if name == 'fc6' else 4096
    fc = nn.Linear(in_features, 4096, bias=norm_cfg is None)
    return nn.Sequential(norm_relu(fc, norm_cfg))


@MODELS.register_module()
class AlexNet(BaseModule):
    """AlexNet with batch norm, without groups, response norm and dropout.

    The network of the paper's ImageNet experiments (section 3.2), with the
    layers of the authors' released code: batch norm and ReLU behind every
    convolution and every fully connected layer; convolutions keep their bias.

    The stages are conv1, conv2, conv3, conv4, conv5, pool5, fc6 and fc7. As in
    figure 3 of the paper, conv1 and conv2 include the max pool behind them: at
    224×224 the maps are 64×27×27, 192×13×13, 384×13×13, 256×13×13, 256×13×13
    and 256×6×6, the vectors of fc6 and fc7 have 4096 elements. What lies behind
    the last stage asked for is not built.

    Args:
        out_indices (Sequence[int]): Stages to return, 0 for conv1, 5 for pool5,
            7 for fc7.
        frozen_stages (int): Freeze this many leading stages, weights and
            running statistics; -1 freezes none.
        norm_cfg (dict, optional): Normalisation behind every layer. None gives
            the network into which batch norm was absorbed.
        init_cfg (dict | list, optional): Initialisation.

    Raises:
        ValueError: If ``out_indices`` or ``frozen_stages`` is out of range.

    Example:
        >>> import torch
        >>> from mmrot.models import AlexNet
        >>> [tuple(x.shape) for x in AlexNet(out_indices=(0, 5))(torch.rand(1, 3, 224, 224))]
        [(1, 64, 27, 27), (1, 256, 6, 6)]
    """

    STAGES = ('conv1', 'conv2', 'conv3', 'conv4', 'conv5', 'pool5', 'fc6', 'fc7')

    def __init__(
        self,
        out_indices: Sequence[int] = (7,),
        frozen_stages: int = -1,
        norm_cfg: dict | None = dict(type='BN'),
        init_cfg: dict | list | None = None,
    ) -> None:
        # He's initialisation over the fan-out, as the released code does.
        super().__init__(init_cfg or dict(type='Kaiming', layer=['Conv2d', 'Linear']))
        self.out_indices = check_out_indices(out_indices, len(self.STAGES))
        self.all_stages = self.STAGES  # those of the network, built or not
        self.stages = self.STAGES[: self.out_indices[-1] + 1]
        self.frozen_stages = check_frozen_stages(frozen_stages, len(self.stages))
        for name in self.stages:
            self.add_module(name, alexnet_stage(name, norm_cfg))
        self._freeze()

    def _freeze(self) -> None:
        freeze(getattr(self, name) for name in self.stages[: max(self.frozen_stages, 0)])

    def train(self, mode: bool = True) -> 'AlexNet':
        """Set the mode, except for the frozen stages, which stay in eval mode."""
        super().train(mode)
        self._freeze()
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Give the outputs of the chosen stages.

        Args:
            x (Tensor): (N, 3, H, W); fc6 and fc7 expect 224×224.

        Returns:
            tuple[Tensor, ...]: Maps (N, C, H', W') and, for fc6 and fc7, vectors
            (N, 4096), in the order of the stages.

        Raises:
            ValueError: If fc6 is asked for and pool5 is not 6×6.
        """
        outs = []
        for index, name in enumerate(self.stages):
            if name == 'fc6':
                if x.shape[2:] != (6, 6):
                    raise ValueError(
                        f'pool5 of size {tuple(x.shape[2:])}: fc6 expects (6, 6), as 224x224 '
                        'images give it'
                    )
                x = x.flatten(1)  # (N, 9216)
            x = getattr(self, name)(x)
            if index in self.out_indices:
                outs.append(x)
        return tuple(outs)
