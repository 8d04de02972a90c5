from torch import Tensor

from mmrot.errors import UserError

from .library_names import LIBRARIES, rename_for_library
from .network import is_own_network
from .state_dict import split_backbone

STYLES = ('mmrot', 'mmpretrain', 'mmdet', 'mmseg', *LIBRARIES)


def export_backbone(state_dict: dict[str, Tensor], style: str = 'mmrot') -> dict[str, Tensor]:
    """Extract the backbone from a pretraining checkpoint.

    Args:
        state_dict: State dict of a pretraining model or of a bare backbone.
        style: Library whose names the keys get. ``'mmrot'`` leaves those of any network as they
            are. So do ``'mmpretrain'``, ``'mmdet'`` and ``'mmseg'``, for networks of these
            projects. ``'torchvision'`` and ``'timm'`` are for the networks of
            :func:`mmrot.weights.library_names.rename_for_library`.

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
    if is_own_network(backbone):
        raise UserError(f'only mmrot has AlexNet and NIN with these weights, not {style}.')
    return rename_for_library(backbone, style) if style in LIBRARIES else backbone
