import re

from mmengine.registry import MODELS
from mmpretrain.models.backbones.resnet import Bottleneck, ResNet
from torch import Tensor, nn

from mmrot.errors import UserError, first_few
from mmrot.models import AlexNet

from .state_dict import load_backbone


def is_own_network(backbone: dict[str, Tensor]) -> bool:
    """Return whether a state dict is of a bare :class:`mmrot.AlexNet` or :class:`mmrot.NIN`."""
    if 'block1.layer1.conv.weight' in backbone:
        return True
    stages = {key.partition('.')[0] for key in backbone}
    return 'conv1.conv.weight' in backbone and stages <= set(AlexNet.STAGES)


def network_config(backbone: dict[str, Tensor]) -> dict:
    """Infer the network of a state dict from its keys.

    The config in a checkpoint is Python code, which is not safe to execute.

    Args:
        backbone: State dict of a bare :class:`mmrot.AlexNet` or :class:`mmrot.NIN`, or of a
            ResNet of mmpretrain, torchvision or timm, whose names are the same.

    Returns:
        Config that builds the network, with the last stage as its only output.

    Raises:
        UserError: If the network is not supported.
    """
    if 'block1.layer1.conv.weight' in backbone:
        blocks = {int(match[1]) for key in backbone if (match := re.match(r'block(\d)\.', key))}
        return dict(
            type='mmrot.NIN',
            num_blocks=max(3, *blocks),  # the smallest NIN has three, built or not
            width=len(backbone['block1.layer1.conv.weight']),
            out_indices=(max(blocks) - 1,),
            norm_cfg=dict(type='BN') if 'block1.layer1.bn.weight' in backbone else None,
        )
    if is_own_network(backbone):
        last = max(AlexNet.STAGES.index(key.partition('.')[0]) for key in backbone)
        fc6 = backbone.get('fc6.fc.weight')
        width = {} if fc6 is None else dict(fc_channels=len(fc6))
        return dict(
            type='mmrot.AlexNet',
            out_indices=(last,),
            norm_cfg=dict(type='BN') if 'conv1.bn.weight' in backbone else None,
            convolutional=fc6 is not None and fc6.ndim == 4,
            **width,
        )
    if 'layer1.0.conv1.weight' in backbone and 'conv1.weight' in backbone:
        counts = tuple(
            1 + max(int(m[1]) for key in backbone if (m := re.match(rf'layer{i}\.(\d+)\.', key)))
            for i in range(1, 5)
            if f'layer{i}.0.conv1.weight' in backbone
        )
        bottleneck = 'layer1.0.conv3.weight' in backbone
        for depth, (block, blocks_per_stage) in ResNet.arch_settings.items():
            if counts == blocks_per_stage and bottleneck == (block is Bottleneck):
                return dict(type='mmpretrain.ResNet', depth=depth)
    depths = ', '.join(map(str, ResNet.arch_settings))
    raise UserError(
        f"expected the weights of mmrot's AlexNet or NIN, or of a ResNet of depth {depths}, found "
        f'{first_few(backbone, 4)}. For another network, pass the config of its pretraining: '
        'tools/convert.py backbone --config'
    )


def build_network(backbone: dict[str, Tensor], config: dict | None = None) -> nn.Module:
    """Build the network of a state dict and load every key.

    Args:
        backbone: State dict of a bare backbone.
        config: Config of the network. By default, it is inferred from the keys.

    Returns:
        Network in eval mode, without gradients.

    Raises:
        UserError: If keys are missing or unexpected, or have the wrong shape.
    """
    config = config or network_config(backbone)
    network = MODELS.build(config)
    if load_backbone(network, backbone, 'the checkpoint'):
        unexpected = sorted(set(backbone) - set(network.state_dict()))
        raise UserError(f'unexpected keys for {config["type"]}: {first_few(unexpected)}.')
    network.eval()  # returns None for some networks of mmpretrain
    return network.requires_grad_(False)
