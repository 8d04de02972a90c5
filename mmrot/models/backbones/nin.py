from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmrot.errors import UserError
from mmrot.registry import MODELS

from .layers import check_frozen_stages, freeze, norm_relu, select_outputs


def nin_block(
    in_channels: int, channels: Sequence[int], kernel_size: int, norm_cfg: dict | None
) -> nn.Sequential:
    """Build the convolutions of one block, without its pool.

    Args:
        in_channels: Number of input channels.
        channels: Number of output channels of each layer; all layers after the
            first are 1×1 convolutions.
        kernel_size: Kernel size of the first layer.
        norm_cfg: Normalisation after every convolution, or None.

    Returns:
        The layers, named ``layer1``, ``layer2``, ...
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

    The network of the paper's CIFAR-10 experiments (Section 3.1, Table 1),
    with the layers of the authors' released code: block 1 is a 5×5 and two
    1×1 convolutions and a max pool, block 2 the same with an average pool, the
    following blocks a 3×3 and two 1×1 convolutions without a pool. At 32×32 and
    width 192 the maps are 96×16×16 after block 1 and 192×8×8 after all others.
    Global pooling and the classifier belong to the head. Blocks after the last
    one in ``out_indices`` are not built.

    Args:
        num_blocks: 3, 4 or 5.
        width: Channels of the widest layers, a multiple of 6.
        out_indices: Blocks to return, by index (0 for block 1) or name (``'block1'``);
            the last block by default.
        frozen_stages: Number of leading blocks whose weights and running
            statistics are frozen; -1 freezes none.
        norm_cfg: Normalisation after every convolution. None builds the network
            after batch norm has been absorbed, whose convolutions have a bias.
        init_cfg: Initialisation; PyTorch's default, as in the released code, by
            default.

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
        out_indices: Sequence[int | str] | None = None,
        frozen_stages: int = -1,
        norm_cfg: dict | None = dict(type='BN'),
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if num_blocks not in (3, 4, 5):
            raise UserError(f'num_blocks={num_blocks} is not 3, 4 or 5.')
        if width < 6 or width % 6:
            raise UserError(f'width={width} is not a multiple of 6.')
        # load_backbone ignores weights of stages that are listed here but not built
        self.all_stages = [f'block{index + 1}' for index in range(num_blocks)]
        self.all_outputs = self.indexed_outputs = self.all_stages
        self.outputs = select_outputs(
            (num_blocks - 1,) if out_indices is None else out_indices,
            self.all_outputs,
            self.indexed_outputs,
        )
        self.stages = self.all_stages[: self.all_stages.index(self.outputs[-1]) + 1]
        self.frozen_stages = check_frozen_stages(frozen_stages, len(self.stages))
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
        """Set the training mode of all blocks except the frozen ones, which stay in eval mode."""
        super().train(mode)
        self._freeze()
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the feature maps of the selected blocks.

        Args:
            x: (N, 3, H, W).

        Returns:
            Maps (N, C, H', W'), in the order of the blocks.
        """
        outs = []
        for name in self.stages:
            x = getattr(self, name)(x)  # (N, C, H', W')
            if name in self.outputs:
                outs.append(x)
        return tuple(outs)
