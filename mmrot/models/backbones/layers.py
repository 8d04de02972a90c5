"""Building blocks and checks shared by NIN and AlexNet."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from mmcv.cnn import build_norm_layer
from torch import nn

from mmrot.errors import UserError


def norm_relu(
    layer: nn.Conv2d | nn.Linear, norm_cfg: dict | None, name: str | None = None
) -> OrderedDict[str, nn.Module]:
    """Append normalisation and ReLU to a layer.

    Args:
        layer: Convolution or linear layer.
        norm_cfg: Normalisation, such as ``dict(type='BN')``, which is
            one-dimensional after a linear layer. None for no normalisation.
        name: Name of the layer; ``'conv'`` or ``'fc'`` by default.

    Returns:
        The layer, ``bn`` and ``relu`` by name.
    """
    is_conv = isinstance(layer, nn.Conv2d)
    modules = OrderedDict([(name or ('conv' if is_conv else 'fc'), layer)])
    if norm_cfg is not None:
        if not is_conv and norm_cfg['type'] == 'BN':
            norm_cfg = {**norm_cfg, 'type': 'BN1d'}
        width = layer.out_channels if is_conv else layer.out_features
        modules['bn'] = build_norm_layer(norm_cfg, width)[1]
    modules['relu'] = nn.ReLU(inplace=True)
    return modules


def check_out_indices(out_indices: Sequence[int], num_stages: int) -> tuple[int, ...]:
    """Check the indices of the stages to return.

    Args:
        out_indices: Strictly increasing indices.
        num_stages: Number of stages of the backbone.

    Returns:
        The indices as a tuple.

    Raises:
        UserError: If there are none, they do not increase, or one is not in
            ``[0, num_stages)``.
    """
    indices = tuple(out_indices)
    if not indices or list(indices) != sorted(set(indices)):
        raise UserError(f'out_indices={indices} are not one or more increasing indices.')
    if indices[0] < 0 or indices[-1] >= num_stages:
        raise UserError(f'out_indices={indices} are not between 0 and {num_stages - 1}.')
    return indices


def check_frozen_stages(frozen_stages: int, num_stages: int) -> int:
    """Check the number of leading stages to freeze.

    Args:
        frozen_stages: Number of stages; -1 freezes none.
        num_stages: Number of stages that are built.

    Returns:
        The number of stages, unchanged.

    Raises:
        UserError: If it is not in ``[-1, num_stages]``.
    """
    if not -1 <= frozen_stages <= num_stages:
        raise UserError(f'frozen_stages={frozen_stages} is not between -1 and {num_stages}.')
    return frozen_stages


def freeze(stages: Iterable[nn.Module]) -> None:
    """Freeze the weights of stages and put them in eval mode."""
    for stage in stages:
        stage.eval()
        stage.requires_grad_(False)
