import re

from torch import Tensor

from mmrot.errors import UserError


def fully_convolutional(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """Turn AlexNet's fc6 and fc7 into convolutions over pool5.

    Long et al., *Fully Convolutional Networks for Semantic Segmentation*, CVPR
    2015, section 4.1. The weights stay, in the order in which pool5 is flattened.

    Args:
        state_dict (dict[str, Tensor]): Of :class:`mmrot.AlexNet`, or of a model
            that has one.

    Returns:
        dict[str, Tensor]: The same keys, for ``AlexNet(convolutional=True)``.

    Raises:
        UserError: If there is no fc6, or it is of another size.
    """
    out = dict(state_dict)
    found = False
    for key, value in state_dict.items():
        match = re.search(r'(?:^|\.)(fc6|fc7)\.fc\.weight$', key)
        if match is None or value.ndim == 4:
            found |= match is not None
            continue
        size = 6 if match[1] == 'fc6' else 1
        if size == 6 and value.shape[1] != 9216:
            raise UserError(f'{key} has {tuple(value.shape)}, expected (..., 9216)')
        out[key] = value.reshape(len(value), -1, size, size)
        found = True
    if not found:
        raise UserError('no fc6.fc.weight or fc7.fc.weight: expected an AlexNet up to fc7')
    return out
