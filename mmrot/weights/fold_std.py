from collections.abc import Sequence

import torch
from torch import Tensor

from mmrot.errors import UserError

# Of ImageNet's RGB pixels in [0, 255], by which AlexNet's images are divided in pretraining.
PIXEL_STD = (58.395, 57.12, 57.375)


def fold_std(state_dict: dict[str, Tensor], std: Sequence[float] = PIXEL_STD) -> dict[str, Tensor]:
    """Fold the division by the standard deviation of pixels into AlexNet's conv1.

    As in the authors' conversion to Caffe: the network then takes pixels from which only the mean
    was subtracted. The scale of the input decides how fast conv1 learns, and with it what the
    learning rates of detection, segmentation and VOC 2007 classification mean.

    Args:
        state_dict: State dict of a bare :class:`mmrot.AlexNet`.
        std: Standard deviation of each channel in [0, 255], RGB.

    Returns:
        State dict that computes the same outputs from pixels that are ``std`` times larger.

    Raises:
        UserError: If there is no conv1 of AlexNet.
    """
    key = 'conv1.conv.weight'
    if key not in state_dict:
        raise UserError(f'no {key}: expected an AlexNet')
    weight = state_dict[key]  # (64, 3, 11, 11)
    return {**state_dict, key: weight / torch.tensor(std, dtype=weight.dtype)[:, None, None]}
