import re

from torch import Tensor

from mmrot.errors import UserError


def fully_convolutional(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """Convert AlexNet's fc6 and fc7 to convolutions over pool5.

    As in Long et al., *Fully Convolutional Networks for Semantic Segmentation*, CVPR 2015,
    Section 4.1. The weights stay the same, in the order in which pool5 is flattened.

    Args:
        state_dict: State dict of :class:`mmrot.AlexNet`, or of a model that contains one.

    Returns:
        State dict with the same keys, for ``AlexNet(convolutional=True)``.

    Raises:
        UserError: If there is neither fc6 nor fc7, or fc6 has the wrong size.
    """
    out = dict(state_dict)
    found = False
    for key, value in state_dict.items():
        match = re.search(r'(?:^|\.)(fc6|fc7)\.fc\.weight$', key)
        if match is None:
            continue
        found = True
        size = 6 if match[1] == 'fc6' else 1
        if size == 6 and value.shape[1:].numel() != 9216:
            raise UserError(f'{key} has shape {tuple(value.shape)}, expected (..., 9216).')
        out[key] = value.reshape(len(value), -1, size, size)
    if not found:
        raise UserError('no fc6.fc.weight or fc7.fc.weight: expected an AlexNet up to fc7')
    return out
