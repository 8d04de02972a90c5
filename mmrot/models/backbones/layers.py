"""What NIN and AlexNet share: a layer with its norm, stages, freezing."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from mmcv.cnn import build_norm_layer
from torch import nn

from mmrot.errors import UserError


def norm_relu(
    layer: nn.Conv2d | nn.Linear, norm_cfg: dict | None, name: str | None = None
) -> OrderedDict[str, nn.Module]:
    """Follow a layer by its normalisation and a ReLU.

    Args:
        layer (nn.Conv2d | nn.Linear): The layer.
        norm_cfg (dict, optional): Normalisation, such as ``dict(type='BN')``,
            the 1d kind behind a linear layer; None leaves it out.
        name (str, optional): Of the layer; by default ``'conv'`` or ``'fc'``.

    Returns:
        OrderedDict[str, nn.Module]: The layer, then ``bn``, ``relu``.
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
    """Check which stages a backbone is asked to return.

    Raises:
        UserError: If an index is not one of ``0..num_stages-1`` or they do not
            increase.
    """
    indices = tuple(out_indices)
    if not indices or list(indices) != sorted(set(indices)):
        raise UserError(f'out_indices={indices}: expected one or more increasing stage indices')
    if indices[0] < 0 or indices[-1] >= num_stages:
        raise UserError(f'out_indices={indices}: expected indices from 0 to {num_stages - 1}')
    return indices


def check_frozen_stages(frozen_stages: int, num_stages: int) -> int:
    """Check how many leading stages a backbone is asked to freeze.

    Raises:
        UserError: If it is not from -1 to ``num_stages``.
    """
    if not -1 <= frozen_stages <= num_stages:
        raise UserError(f'frozen_stages={frozen_stages}: expected -1 (none) to {num_stages}')
    return frozen_stages


def freeze(stages: Iterable[nn.Module]) -> None:
    """Stop gradients, running statistics and dropout of some stages."""
    for stage in stages:
        stage.eval()
        stage.requires_grad_(False)
