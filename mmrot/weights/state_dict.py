"""Find, split and load the weights of a state dict."""

from typing import Any

from torch import Tensor, nn

from mmrot.errors import UserError


def state_dict_of(checkpoint: dict[str, Any], name: str) -> dict[str, Tensor]:
    """Find the weights in a checkpoint.

    Args:
        checkpoint (dict): With ``state_dict`` or ``model``, or bare.
        name (str): The file, for the errors.

    Returns:
        dict[str, Tensor]: Name → weight; without the ``module.`` that data
        parallelism puts in front.

    Raises:
        UserError: If there are none.
    """
    state = checkpoint.get('state_dict', checkpoint.get('model', checkpoint))
    if not isinstance(state, dict) or not any(isinstance(v, Tensor) for v in state.values()):
        found = ', '.join(map(str, list(checkpoint)[:5]))
        raise UserError(f'checkpoint {name} holds no weights: expected tensors, found {found}')
    return tensors_of(state)


def tensors_of(state: dict[Any, Any]) -> dict[str, Tensor]:
    """Keep what is a weight, without the ``module.`` of data parallelism.

    Args:
        state (dict): Names and values of any kind.

    Returns:
        dict[str, Tensor]: Name → weight.
    """
    return {
        str(key).removeprefix('module.'): value
        for key, value in state.items()
        if isinstance(value, Tensor)
    }


def split_backbone(state_dict: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Separate a model's backbone from the rest.

    Args:
        state_dict (dict[str, Tensor]): Of a whole model, whose keys begin with
            ``backbone.``, or of a bare backbone.

    Returns:
        tuple[dict[str, Tensor], dict[str, Tensor]]: The backbone, without the
        prefix, and what is left over.
    """
    prefix = 'backbone.'
    if not any(key.startswith(prefix) for key in state_dict):
        return dict(state_dict), {}
    backbone = {
        key.removeprefix(prefix): value
        for key, value in state_dict.items()
        if key.startswith(prefix)
    }
    rest = {key: value for key, value in state_dict.items() if not key.startswith(prefix)}
    return backbone, rest


def load_backbone(backbone: nn.Module, state_dict: dict[str, Tensor], source: str) -> int:
    """Load a backbone of which every key must be found.

    Args:
        backbone (nn.Module): Loaded in place.
        state_dict (dict[str, Tensor]): Of a whole pretraining model, whose keys
            begin with ``backbone.``, or of a bare backbone.
        source (str): Where it comes from, for the errors.

    Returns:
        int: How many keys of the source's backbone were left over: those of
        stages that this backbone does not build.

    Raises:
        UserError: If a key is missing, has another shape or values that are not
            finite, or what is left over is no whole stage; lists the keys.
    """
    state_dict, _ = split_backbone(state_dict)
    wanted = backbone.state_dict()
    missing = [key for key in wanted if key not in state_dict]
    if missing:
        raise UserError(
            f'{source} lacks {len(missing)} of the {len(wanted)} keys of the backbone '
            f'{type(backbone).__name__}: {_few(missing)}; it has {_few(list(state_dict), 3)}'
        )
    misfits = [
        f'{key} has {tuple(state_dict[key].shape)}, expected {tuple(value.shape)}'
        for key, value in wanted.items()
        if state_dict[key].shape != value.shape
    ]
    if misfits:
        raise UserError(
            f'{source} does not fit the backbone {type(backbone).__name__}, {len(misfits)} of '
            f'{len(wanted)} keys: {_few(misfits)}'
        )
    left = [key for key in state_dict if key not in wanted]
    # a whole stage that is not built here may be left over, part of one may not
    built = {key.partition('.')[0] for key in wanted}
    stages = getattr(backbone, 'all_stages', None)
    odd = [
        key
        for key in left
        if (stage := key.partition('.')[0]) in built or (stages and stage not in stages)
    ]
    if odd:
        raise UserError(
            f'{source} is of another network than the backbone {type(backbone).__name__}, which '
            f'has no place for {len(odd)} keys: {_few(odd)}'
            + ('; tools/convert.py absorb-bn?' if all('.bn.' in key for key in odd) else '')
        )
    not_finite = [key for key in wanted if not state_dict[key].isfinite().all()]
    if not_finite:
        raise UserError(f'{source} holds values that are not finite: {_few(not_finite)}')
    backbone.load_state_dict({key: state_dict[key] for key in wanted})
    return len(left)


def load_module(module: nn.Module, state_dict: dict[str, Tensor], name: str, source: str) -> int:
    """Load one module of a pretrained backbone, completely.

    Args:
        module (nn.Module): Loaded in place.
        state_dict (dict[str, Tensor]): As in :func:`load_backbone`.
        name (str): What the module is called in the backbone, such as ``'fc6.fc'``.
        source (str): Where it comes from, for the errors.

    Returns:
        int: How many keys it has.

    Raises:
        UserError: If a key is missing, misfits or has no place; lists them.
    """
    backbone, _ = split_backbone(state_dict)
    prefix = f'{name}.'
    found = {k.removeprefix(prefix): v for k, v in backbone.items() if k.startswith(prefix)}
    wanted = module.state_dict()
    problems = [f'{prefix}{key} is missing' for key in wanted if key not in found]
    problems += [f'{prefix}{key} has no place' for key in found if key not in wanted]
    problems += [
        f'{prefix}{key} has {tuple(found[key].shape)}, expected {tuple(value.shape)}'
        for key, value in wanted.items()
        if key in found and found[key].shape != value.shape
    ]
    if problems:
        raise UserError(f'{source}, {name}: {_few(problems)}')
    module.load_state_dict(found)
    return len(found)


def _few(items: list[str], most: int = 5) -> str:
    return '; '.join(items[:most]) + (f'; and {len(items) - most} more' * (len(items) > most))
