from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmrot.errors import UserError
from mmrot.registry import MODELS

from .layers import check_frozen_stages, check_out_indices, freeze, norm_relu


def nin_block(
    in_channels: int, channels: Sequence[int], kernel_size: int, norm_cfg: dict | None
) -> nn.Sequential:
    """Build the convolutions of one block, without its pool.

    Args:
        in_channels (int): Channels of the input.
        channels (Sequence[int]): Channels of the layers; those behind the first
            one are 1×1 convolutions.
        kernel_size (int): Of the first layer.
        norm_cfg (dict, optional): Normalisation behind every convolution.

    Returns:
        nn.Sequential: ``layer1``, ``layer2``, ...
    """
    block = nn.Sequential()
    for index, out_channels in enumerate(channels):
        size = kernel_size if index == 0 else 1
        conv = nn.Conv2d(in_channels, out_channels, size, padding=size // 2, bias=norm_cfg is None)
        block.add_module(f'layer{index + 1}', nn.Sequential(norm_relu(conv, norm_cfg)))
        in_channels = out_channels
    return block


@MODELS.register_module()
class NIN(BaseModule):
    """Network in Network with 3, 4 or 5 blocks of three convolutions.

    The network of the paper's CIFAR-10 experiments (section 3.1, Table 1),
    with the layers of the authors' released code: block 1 is a 5×5 and two
    1×1 convolutions and a max pool, block 2 the same with an average pool, the
    blocks behind it a 3×3 and two 1×1 convolutions without a pool. At 32×32
    and width 192 the maps are 96×16×16 behind block 1 and 192×8×8 behind all
    others. Pooling over positions and the classifier are the head's. Blocks behind
    the last one asked for are not built.

    Args:
        num_blocks (int): 3, 4 or 5.
        width (int): Channels of the widest layers, a multiple of 6.
        out_indices (Sequence[int], optional): Blocks to return, 0 for block 1.
            Defaults to the last block.
        frozen_stages (int): Freeze this many leading blocks, weights and
            running statistics; -1 freezes none.
        norm_cfg (dict, optional): Normalisation behind every convolution. None
            gives the network into which batch norm was absorbed, whose
            convolutions have a bias.
        init_cfg (dict | list, optional): Initialisation.

    Raises:
        UserError: If ``num_blocks``, ``width``, ``out_indices`` or
            ``frozen_stages`` is out of range.

    Example:
        >>> import torch
        >>> from mmrot.models import NIN
        >>> [tuple(x.shape) for x in NIN(out_indices=(0, 3))(torch.rand(1, 3, 32, 32))]
        [(1, 96, 16, 16), (1, 192, 8, 8)]
    """

    def __init__(
        self,
        num_blocks: int = 4,
        width: int = 192,
        out_indices: Sequence[int] | None = None,
        frozen_stages: int = -1,
        norm_cfg: dict | None = dict(type='BN'),
        init_cfg: dict | list | None = None,
    ) -> None:
        # He's initialisation over the fan-out, as the released code does.
        super().__init__(init_cfg or dict(type='Kaiming', layer='Conv2d'))
        if num_blocks not in (3, 4, 5):
            raise UserError(f'num_blocks={num_blocks}: expected 3, 4 or 5')
        if width < 6 or width % 6:
            raise UserError(f'width={width}: expected a multiple of 6')
        self.out_indices = check_out_indices(
            (num_blocks - 1,) if out_indices is None else out_indices, num_blocks
        )
        self.frozen_stages = check_frozen_stages(frozen_stages, self.out_indices[-1] + 1)

        # those of the network, built or not
        self.all_stages = [f'block{index + 1}' for index in range(num_blocks)]
        self.stages = self.all_stages[: self.out_indices[-1] + 1]
        in_channels = 3
        for index, name in enumerate(self.stages):
            channels = (width, width * 5 // 6, width // 2) if index == 0 else (width,) * 3
            stage = nin_block(in_channels, channels, 5 if index < 2 else 3, norm_cfg)
            if index < 2:
                pool = nn.MaxPool2d if index == 0 else nn.AvgPool2d
                stage.add_module('pool', pool(3, stride=2, padding=1))
            self.add_module(name, stage)
            in_channels = channels[-1]
        self._freeze()

    def _freeze(self) -> None:
        freeze(getattr(self, name) for name in self.stages[: max(self.frozen_stages, 0)])

    def train(self, mode: bool = True) -> 'NIN':
        """Set the mode, except for the frozen blocks, which stay in eval mode."""
        super().train(mode)
        self._freeze()
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Give the maps of the chosen blocks.

        Args:
            x (Tensor): (N, 3, H, W).

        Returns:
            tuple[Tensor, ...]: Maps (N, C, H', W'), in the order of the blocks.
        """
        outs = []
        for index, name in enumerate(self.stages):
            x = getattr(self, name)(x)  # (N, C, H', W')
            if index in self.out_indices:
                outs.append(x)
        return tuple(outs)
