from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmrot.errors import UserError
from mmrot.registry import MODELS

from .layers import check_frozen_stages, freeze, norm_relu, select_outputs

# in channels, out channels, kernel size, stride, padding, whether a max pool follows
_CONVS = {
    'conv1': (3, 64, 11, 4, 2, True),
    'conv2': (64, 192, 5, 1, 2, True),
    'conv3': (192, 384, 3, 1, 1, False),
    'conv4': (384, 256, 3, 1, 1, False),
    'conv5': (256, 256, 3, 1, 1, False),
}

_POOL_AFTER = {'conv1': 'pool1', 'conv2': 'pool2'}


def alexnet_stage(
    name: str,
    norm_cfg: dict | None,
    convolutional: bool = False,
    padding: int = 0,
    fc_channels: int = 4096,
    dropout: float = 0.0,
) -> nn.Module:
    """Build one stage of AlexNet.

    Args:
        name: One of ``AlexNet.STAGES``.
        norm_cfg: Normalisation after the layer, or None.
        convolutional: Whether fc6 and fc7 are convolutions.
        padding: Zero padding of conv1 in pixels, in addition to its own.
        fc_channels: Width of fc6 and fc7.
        dropout: Probability of dropout after fc6 and fc7.

    Returns:
        The stage. A linear fc6 expects flattened features.
    """
    if name in _CONVS:
        in_channels, channels, size, stride, own_padding, pool = _CONVS[name]
        if name == 'conv1':
            own_padding += padding
        conv = nn.Conv2d(in_channels, channels, size, stride=stride, padding=own_padding)
        stage = nn.Sequential(norm_relu(conv, norm_cfg))
        if pool:
            stage.add_module('pool', nn.MaxPool2d(3, stride=2))
        return stage
    if name == 'pool5':
        return nn.MaxPool2d(3, stride=2)
    channels, size = (256, 6) if name == 'fc6' else (fc_channels, 1)
    bias = norm_cfg is None
    fc: nn.Conv2d | nn.Linear
    if convolutional:
        fc = nn.Conv2d(channels, fc_channels, size, bias=bias)
    else:
        fc = nn.Linear(channels * size * size, fc_channels, bias=bias)
    stage = nn.Sequential(norm_relu(fc, norm_cfg, name='fc'))
    if dropout:
        stage.add_module('dropout', nn.Dropout(dropout))
    return stage


@MODELS.register_module()
class AlexNet(BaseModule):
    """AlexNet with batch norm, without groups and response norm.

    The network of the paper's ImageNet experiments (Section 3.2), with the
    layers of the authors' released code: batch norm and ReLU after every
    convolution and every fully connected layer; convolutions keep their bias.

    The stages are conv1, conv2, conv3, conv4, conv5, pool5, fc6 and fc7. As in
    Figure 3 of the paper, conv1 and conv2 include the following max pool: at
    224×224 the stages return maps of 64×27×27, 192×13×13, 384×13×13, 256×13×13,
    256×13×13 and 256×6×6; fc6 and fc7 return vectors of 4096 elements. The names
    of the released code select the maps before these pools as well: ``'conv1'``
    (64×55×55) and ``'conv2'`` (192×27×27) before, ``'pool1'`` and ``'pool2'``
    after. Stages after the last one in ``out_indices`` are not built.

    The fully convolutional form is that of Long et al., *Fully Convolutional
    Networks for Semantic Segmentation*, CVPR 2015: fc6 and fc7 are 6×6 and 1×1
    convolutions over pool5 with the same weights. fc7 has a receptive field of
    355×355 pixels, padding included, and a stride of 32; the field of output i is
    centred on pixel 32·i + 111. With a padding of 96 and image sides that are
    multiples of 32, that is pixel 32·i + 15, half a pixel from the centre of the
    i-th 32×32 cell, so the upsampled map is aligned with the image.

    Args:
        out_indices: Outputs to return, in the order of the network: indices of
            stages (0 for conv1 with its pool, 5 for pool5, 7 for fc7) or names of
            the released code, some of ``AlexNet.OUTPUTS``.
        frozen_stages: Number of leading stages whose weights and running
            statistics are frozen; -1 freezes none.
        norm_cfg: Normalisation after every layer. None builds the network after
            batch norm has been absorbed.
        convolutional: Whether fc6 and fc7 are convolutions.
        padding: Zero padding around the image, in pixels.
        fc_channels: Width of fc6 and fc7, 4096 in the paper.
        dropout: Probability of dropout of single elements after fc6 and fc7, which
            the paper's network does not have.
        init_cfg: Initialisation; PyTorch's default, as in the released code, by
            default.

    Raises:
        UserError: If ``out_indices`` or ``frozen_stages`` is out of range.

    Example:
        >>> import torch
        >>> from mmrot.models import AlexNet
        >>> [tuple(x.shape) for x in AlexNet(out_indices=(0, 5))(torch.rand(1, 3, 224, 224))]
        [(1, 64, 27, 27), (1, 256, 6, 6)]
    """

    STAGES = ('conv1', 'conv2', 'conv3', 'conv4', 'conv5', 'pool5', 'fc6', 'fc7')
    OUTPUTS = (*('conv1', 'pool1', 'conv2', 'pool2'), *STAGES[2:])

    def __init__(
        self,
        out_indices: Sequence[int | str] = (7,),
        frozen_stages: int = -1,
        norm_cfg: dict | None = dict(type='BN'),
        convolutional: bool = False,
        padding: int = 0,
        fc_channels: int = 4096,
        dropout: float = 0.0,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.convolutional = convolutional
        self.all_outputs = self.OUTPUTS
        self.indexed_outputs = [_POOL_AFTER.get(stage, stage) for stage in self.STAGES]
        self.outputs = select_outputs(out_indices, self.all_outputs, self.indexed_outputs)
        # the modules that return the outputs, where these are not stages
        self.output_modules = {
            **{conv: f'{conv}.relu' for conv in _POOL_AFTER},
            **{pool: f'{conv}.pool' for conv, pool in _POOL_AFTER.items()},
        }
        # load_backbone ignores weights of stages that are listed here but not built
        self.all_stages = self.STAGES
        last = self.outputs[-1].replace('pool1', 'conv1').replace('pool2', 'conv2')
        self.stages = self.STAGES[: self.STAGES.index(last) + 1]
        self.frozen_stages = check_frozen_stages(frozen_stages, len(self.stages))
        for name in self.stages:
            stage = alexnet_stage(name, norm_cfg, convolutional, padding, fc_channels, dropout)
            self.add_module(name, stage)
        self._freeze()

    def _freeze(self) -> None:
        freeze(getattr(self, name) for name in self.stages[: max(self.frozen_stages, 0)])

    def train(self, mode: bool = True) -> 'AlexNet':
        """Set the training mode of all stages except the frozen ones, which stay in eval mode."""
        super().train(mode)
        self._freeze()
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the selected outputs.

        Args:
            x: (N, 3, H, W). fc6 and fc7 require 224×224, or more in the fully
                convolutional form.

        Returns:
            Maps (N, C, H', W') and, for fc6 and fc7, vectors (N, fc_channels), in
            the order of the network.

        Raises:
            UserError: If fc6 is selected and pool5 is not 6×6.
        """
        outs = {}
        for name in self.stages:
            if name == 'fc6' and not self.convolutional:
                if x.shape[2:] != (6, 6):
                    raise UserError(
                        f'pool5 of size {tuple(x.shape[2:])} does not match fc6, which requires '
                        '(6, 6). Resize or crop images to 224x224.'
                    )
                x = x.flatten(1)  # (N, 9216)
            stage = getattr(self, name)
            if name in _POOL_AFTER:
                outs[name] = x = stage[:-1](x)
                outs[_POOL_AFTER[name]] = x = stage.pool(x)
            else:
                outs[name] = x = stage(x)
        return tuple(outs[name] for name in self.outputs)
