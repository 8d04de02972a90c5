"""Read checkpoints from anywhere without running what is in them."""

import hashlib
import pickle
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging.history_buffer import HistoryBuffer
from mmengine.runner import CheckpointLoader
from torch import Tensor
from torch.hub import load_state_dict_from_url
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

_multiarray = (np._core if hasattr(np, '_core') else np.core).multiarray


def _history_buffer_method(owner: Any, name: str) -> Any:
    """Stand in for ``getattr``, which mmengine's log buffers are pickled with.

    The real one would let a file reach any attribute of anything allowed.
    """
    if owner is HistoryBuffer and name in ('min', 'max', 'mean', 'current'):
        return getattr(HistoryBuffer, name)
    raise pickle.UnpicklingError(f'getattr({owner!r}, {name!r})')


# What mmengine puts in its checkpoints beside tensors and plain Python: log
# buffers, NumPy's arrays and scalars.
_ALLOWED: list[Any] = [
    HistoryBuffer,
    (_history_buffer_method, 'builtins.getattr'),
    np.ndarray,
    np.dtype,
    *{type(np.dtype(kind)) for kind in 'bBhHiIlLqQefd?SU'},
    *(
        (getattr(_multiarray, name), f'numpy.{core}.multiarray.{name}')
        for name in ('_reconstruct', 'scalar')
        for core in ('core', '_core')  # NumPy 1 and 2
    ),
]


def load_checkpoint(
    file: str | Path, map_location: str | Callable | None = 'cpu', trust: bool = False
) -> dict[str, Any]:
    """Read a checkpoint: tensors, plain Python and what mmengine adds to them.

    Args:
        file (str | Path): A file, or an http(s) address.
        map_location (str | Callable, optional): As in ``torch.load``.
        trust (bool): Whether to unpickle anything. A file can run any code then.

    Returns:
        dict: What the file holds.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a checkpoint, is cut off, or needs what is not
            allowed; says which.
    """
    name = str(file)
    try:
        with safe_globals(_ALLOWED):
            if name.startswith(('http://', 'https://')):
                content = load_state_dict_from_url(
                    name, map_location=map_location, weights_only=not trust
                )
            elif not Path(name).expanduser().is_file():
                raise FileNotFoundError(f'checkpoint {name} can not be found')
            else:
                content = torch.load(
                    Path(name).expanduser(), map_location=map_location, weights_only=not trust
                )
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:
        raise ValueError(_why(name, error)) from error
    if not isinstance(content, dict):
        raise ValueError(
            f'checkpoint {name}: expected a dict, it holds a {type(content).__name__}'
        )
    return content


def _why(name: str, error: Exception) -> str:
    """Say why a checkpoint could not be read."""
    message = str(error)
    # torch names what it refused; of a zip file it can list all at once
    refused = re.findall(r'GLOBAL ([\w.]+)|function (\w[\w.]*)', message)
    if isinstance(error, pickle.UnpicklingError) and (refused or 'getattr(' in message):
        try:
            with safe_globals(_ALLOWED):
                needs = get_unsafe_globals_in_checkpoint(Path(name).expanduser())
        except Exception:  # the format before PyTorch 1.6
            needs = []
        needs = needs or ['.'.join(filter(None, names)) for names in refused[:1]] or ['getattr']
        return (
            f'checkpoint {name} needs {", ".join(needs)}, which weights have no use for: refused; '
            '--trust loads it and runs whatever code is in it'
        )
    reason = ' '.join(str(error).split())[:200]
    return (
        f'checkpoint {name}: expected a file that torch can load, it is cut off or no checkpoint '
        f'({reason})'
    )


def state_dict_of(checkpoint: dict[str, Any], name: str) -> dict[str, Tensor]:
    """Find the weights in a checkpoint.

    Args:
        checkpoint (dict): With ``state_dict`` or ``model``, or bare.
        name (str): The file, for the errors.

    Returns:
        dict[str, Tensor]: Name → weight; without the ``module.`` that data
        parallelism puts in front.

    Raises:
        ValueError: If there are none.
    """
    state = checkpoint.get('state_dict', checkpoint.get('model', checkpoint))
    if not isinstance(state, dict) or not any(isinstance(v, Tensor) for v in state.values()):
        found = ', '.join(map(str, list(checkpoint)[:5]))
        raise ValueError(f'checkpoint {name} holds no weights: expected tensors, found {found}')
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


def sha256(file: str | Path) -> str:
    """Hash a file."""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


@contextmanager
def mmengine_loads_with(trust: bool) -> Iterator[None]:
    """Let mmengine read checkpoints by :func:`load_checkpoint`.

    Its own loader goes on to unpickle anything where a file is not safe.

    Args:
        trust (bool): As in :func:`load_checkpoint`.
    """
    before = CheckpointLoader._schemes.copy()

    # the name goes to mmengine's log: "by safe backend"
    def load_from_safe(filename: str, map_location: Any = None, **kwargs) -> dict[str, Any]:
        return load_checkpoint(filename, map_location, trust)

    for prefix in ('', 'http://', 'https://'):
        CheckpointLoader.register_scheme(prefix, load_from_safe, force=True)
    try:
        yield
    finally:
        CheckpointLoader._schemes = before
