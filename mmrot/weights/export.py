from torch import Tensor

from mmrot.errors import UserError

from .network import network_config
from .state_dict import split_backbone

# Whose ResNets have which names: mmpretrain's, mmdet's and mmseg's are the ones
# of torchvision, which timm has too.
STYLES = ('mmrot', 'mmpretrain', 'mmdet', 'mmseg', 'torchvision', 'timm')


def export_backbone(state_dict: dict[str, Tensor], style: str = 'mmrot') -> dict[str, Tensor]:
    """Take the backbone out of a pretraining checkpoint.

    Args:
        state_dict (dict[str, Tensor]): Of a pretraining model, or of a bare
            backbone.
        style (str): Whose names the keys get: ``'mmrot'``, ``'mmpretrain'``,
            ``'mmdet'``, ``'mmseg'``, ``'torchvision'`` or ``'timm'``. All but the
            first are for ResNets, whose names are the same everywhere; the
            classifier of the last two, ``fc``, is not among them.

    Returns:
        dict[str, Tensor]: The backbone's weights.

    Raises:
        UserError: If there is no such style, or it has no such network.
    """
    if style not in STYLES:
        raise UserError(f'style {style!r}: expected one of {", ".join(STYLES)}')
    backbone, _ = split_backbone(state_dict)
    if style == 'mmrot':
        return backbone
    network = network_config(backbone)
    if network['type'] != 'mmpretrain.ResNet':
        raise UserError(
            f'style {style!r}: expected a ResNet, {style} has no {network["type"]}; under mmrot '
            'the style is mmrot, and the type of the network there mmrot.X'
        )
    if style in ('torchvision', 'timm'):
        backbone.pop('fc.weight', None)
        backbone.pop('fc.bias', None)
    return backbone
