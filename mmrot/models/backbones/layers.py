"""Building blocks and checks shared by the backbones."""

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


def select_outputs(
    out_indices: Sequence[int | str], all_outputs: Sequence[str], indexed: Sequence[str]
) -> list[str]:
    """Return the names of the outputs that ``out_indices`` selects.

    Args:
        out_indices: Indices into ``indexed``, or names, in the order of the network.
        all_outputs: Names of all outputs of the network, in order.
        indexed: Names of those that have an index.

    Raises:
        UserError: If there are none, one does not exist, or they are not in the order
            of the network.
    """
    names = []
    for item in out_indices:
        if isinstance(item, str):
            if item not in all_outputs:
                raise UserError(
                    f'out_indices={tuple(out_indices)}: {item!r} is not one of '
                    f'{", ".join(all_outputs)}.'
                )
            names.append(item)
        elif 0 <= item < len(indexed):
            names.append(indexed[item])
        else:
            raise UserError(
                f'out_indices={tuple(out_indices)} are not between 0 and {len(indexed) - 1}.'
            )
    if not names or sorted(set(names), key=all_outputs.index) != names:
        raise UserError(
            f'out_indices={tuple(out_indices)} are not one or more outputs in the order of the '
            'network.'
        )
    return names


def output_names(backbone: nn.Module) -> list[str]:
    """Return the names of what a backbone returns.

    Args:
        backbone: One of mmrot's, whose outputs have names, or any other; its outputs
            are called ``stage<index>`` by their index in ``out_indices``.
    """
    if hasattr(backbone, 'outputs'):
        return list(backbone.outputs)
    indices = getattr(backbone, 'out_indices', 0)
    return [f'stage{i}' for i in ((indices,) if isinstance(indices, int) else indices)]


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
