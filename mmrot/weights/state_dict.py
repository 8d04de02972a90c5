"""Extract, split and load the weights in a checkpoint."""

from typing import Any

from torch import Tensor, nn

from mmrot.errors import UserError, first_few


def state_dict_of(checkpoint: dict[str, Any], name: str) -> dict[str, Tensor]:
    """Return the state dict in a checkpoint.

    Args:
        checkpoint: Checkpoint with ``state_dict`` or ``model``, or a bare state dict.
        name: Name of the file, for errors.

    Returns:
        State dict without the prefix ``module.`` that data parallelism adds.

    Raises:
        UserError: If there are no tensors.
    """
    state = checkpoint.get('state_dict', checkpoint.get('model', checkpoint))
    if not isinstance(state, dict) or not (tensors := tensors_of(state)):
        raise UserError(f'checkpoint {name} contains no weights, only {first_few(checkpoint)}.')
    return tensors


def tensors_of(state: dict[Any, Any]) -> dict[str, Tensor]:
    """Return the tensors in a dict, without the prefix ``module.`` of data parallelism."""
    return {
        str(key).removeprefix('module.'): value
        for key, value in state.items()
        if isinstance(value, Tensor)
    }


def split_backbone(state_dict: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Split the state dict of a model into its backbone and the rest.

    Args:
        state_dict: State dict of a whole model, whose backbone has the prefix ``backbone.``, or
            of a bare backbone.

    Returns:
        The backbone without the prefix, and everything else.
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
    """Load every parameter and buffer of a backbone, or raise an error and load nothing.

    Later stages that the backbone does not build are ignored. Any other unexpected key is an
    error. A backbone whose stages have fixed names can list all of them, built or not, in an
    attribute ``all_stages``; keys of modules that are not in that list are errors, too.

    Args:
        backbone: Backbone to load into.
        state_dict: State dict of a bare backbone, see :func:`split_backbone`.
        source: Origin of the weights, for error messages.

    Returns:
        Number of keys that were ignored.

    Raises:
        UserError: If keys are missing or unexpected, or have the wrong shape or values that are
            not finite; the message lists them.
    """
    wanted = _check_keys(backbone, state_dict, source)
    unused = [key for key in state_dict if key not in wanted]
    built = {key.partition('.')[0] for key in wanted}
    stages = getattr(backbone, 'all_stages', None)
    unexpected = [
        key
        for key in unused
        if (stage := key.partition('.')[0]) in built or (stages and stage not in stages)
    ]
    if unexpected:
        only_norms = all('.bn.' in key for key in unexpected)
        raise UserError(
            f'{source} does not match {type(backbone).__name__}: it has {len(unexpected)} '
            f'unexpected keys: {first_few(unexpected)}.'
            + ' Absorb its batch norms with `mmrot convert absorb-bn`.'
            * only_norms
        )
    backbone.load_state_dict({key: state_dict[key] for key in wanted})
    return len(unused)


def load_module(module: nn.Module, state_dict: dict[str, Tensor], name: str, source: str) -> int:
    """Load one module of a pretrained backbone completely.

    Args:
        module: Module to load into.
        state_dict: State dict of a bare backbone.
        name: Name of the module in the backbone, such as ``'fc6.fc'``.
        source: Origin of the weights, for error messages.

    Returns:
        Number of keys that were loaded.

    Raises:
        UserError: If keys are missing or unexpected, or have the wrong shape or values that are
            not finite; the message lists them.
    """
    prefix = f'{name}.'
    found = {k.removeprefix(prefix): v for k, v in state_dict.items() if k.startswith(prefix)}
    return load_model(module, found, f'{source}, {name}')


def load_model(model: nn.Module, state_dict: dict[str, Tensor], source: str) -> int:
    """Load every key of a state dict into a model, or raise an error and load nothing.

    Args:
        model: Model to load into.
        state_dict: State dict of this model.
        source: Origin of the weights, for error messages.

    Returns:
        Number of keys that were loaded.

    Raises:
        UserError: If keys are missing or unexpected, or have the wrong shape or values that are
            not finite; the message lists them.
    """
    wanted = _check_keys(model, state_dict, source)
    unexpected = [key for key in state_dict if key not in wanted]
    if unexpected:
        raise UserError(f'{source} has unexpected keys: {first_few(unexpected)}.')
    model.load_state_dict(state_dict)
    return len(state_dict)


def _check_keys(module: nn.Module, state: dict[str, Tensor], source: str) -> dict[str, Tensor]:
    """Check the keys, shapes and values of a state dict; return the module's own state dict."""
    wanted = module.state_dict()
    name = type(module).__name__
    missing = [key for key in wanted if key not in state]
    if missing:
        raise UserError(
            f'{source} lacks {len(missing)} of the {len(wanted)} keys of {name}: '
            f'{first_few(missing)}. It has {first_few(state, 3)}.'
        )
    misfits = [
        f'{key} has shape {tuple(state[key].shape)}, expected {tuple(value.shape)}'
        for key, value in wanted.items()
        if state[key].shape != value.shape
    ]
    if misfits:
        raise UserError(
            f'{source} does not match {name}, {len(misfits)} of {len(wanted)} keys: '
            f'{first_few(misfits)}.'
        )
    not_finite = [key for key in wanted if not state[key].isfinite().all()]
    if not_finite:
        raise UserError(f'{source} has values that are not finite: {first_few(not_finite)}.')
    return wanted
