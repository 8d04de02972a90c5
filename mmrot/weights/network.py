import re

from torch import Tensor

from mmrot.errors import UserError
from mmrot.models import AlexNet

# Blocks per stage → depth, and whether the blocks are bottlenecks.
_RESNETS: dict[tuple[bool, tuple[int, ...]], int] = {
    (False, (2, 2, 2, 2)): 18,
    (False, (3, 4, 6, 3)): 34,
    (True, (3, 4, 6, 3)): 50,
    (True, (3, 4, 23, 3)): 101,
    (True, (3, 8, 36, 3)): 152,
}


def network_config(backbone: dict[str, Tensor]) -> dict:
    """Tell from its keys which network a backbone's weights belong to.

    A checkpoint's own config is Python code, which a file from elsewhere must
    not be trusted to bring.

    Args:
        backbone (dict[str, Tensor]): Weights of a bare backbone, in the names of
            :class:`mmrot.AlexNet`, :class:`mmrot.NIN` or a ResNet of mmpretrain,
            torchvision or timm, whose names are the same.

    Returns:
        dict: Config that builds it: its last stage is the only output.

    Raises:
        UserError: If it is none of them.
    """
    if 'block1.layer1.conv.weight' in backbone:
        blocks = {int(match[1]) for key in backbone if (match := re.match(r'block(\d)\.', key))}
        return dict(
            type='mmrot.NIN',
            # one with fewer blocks is part of a network of three
            num_blocks=max(3, *blocks),
            width=len(backbone['block1.layer1.conv.weight']),
            out_indices=(max(blocks) - 1,),
            norm_cfg=dict(type='BN') if 'block1.layer1.bn.weight' in backbone else None,
        )
    if 'conv1.conv.weight' in backbone:
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
        depth = _RESNETS.get(('layer1.0.conv3.weight' in backbone, counts))
        if depth is not None:
            return dict(type='mmpretrain.ResNet', depth=depth)
    raise UserError(
        'expected the weights of AlexNet or NIN of mmrot, or of a ResNet-18, 34, 50, 101 or 152; '
        f'found {", ".join(list(backbone)[:4])}, ... (the backbone of another network is taken '
        'out by tools/convert.py backbone --config, that of its pretraining)'
    )
