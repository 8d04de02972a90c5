from torch import Tensor

from mmrot.errors import UserError

from .network import network_config
from .state_dict import split_backbone

# ResNets have the same names in mmpretrain, mmdet, mmseg, torchvision and timm.
STYLES = ('mmrot', 'mmpretrain', 'mmdet', 'mmseg', 'torchvision', 'timm')


def export_backbone(state_dict: dict[str, Tensor], style: str = 'mmrot') -> dict[str, Tensor]:
    """Extract the backbone from a pretraining checkpoint.

    Args:
        state_dict: State dict of a pretraining model or of a bare backbone.
        style: Library whose names the keys get: ``'mmrot'`` for any network; ``'mmpretrain'``,
            ``'mmdet'``, ``'mmseg'``, ``'torchvision'`` or ``'timm'`` for a ResNet. The last two
            leave out the classifier, ``fc``.

    Returns:
        State dict of the backbone.

    Raises:
        UserError: If the style is unknown, or its library does not have the network.
    """
    if style not in STYLES:
        raise UserError(f'style {style!r}: expected one of {", ".join(STYLES)}')
    backbone, _ = split_backbone(state_dict)
    if style == 'mmrot':
        return backbone
    network = network_config(backbone)['type']
    if network != 'mmpretrain.ResNet':
        raise UserError(
            f'style {style!r} is for ResNets. Use style mmrot, and the network as {network}.'
        )
    if style in ('torchvision', 'timm'):
        backbone.pop('fc.weight', None)
        backbone.pop('fc.bias', None)
    return backbone
