"""Read checkpoints from anywhere without running what is in them."""

import hashlib
import pickle
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging.history_buffer import HistoryBuffer
from mmengine.runner import CheckpointLoader
from torch.hub import load_state_dict_from_url
from torch.serialization import (
    add_safe_globals,
    clear_safe_globals,
    get_safe_globals,
    get_unsafe_globals_in_checkpoint,
    safe_globals,
)

from mmrot.errors import UserError

# NumPy's and mmengine's own classes can be built from a file in ways that crash
# or change the process, so a file gets stand-ins, which keep what was checked
# and are turned into the real ones when all is read.


def _refusal(what: str) -> pickle.UnpicklingError:
    # torch searches the message with a pattern that never ends on a long one
    return pickle.UnpicklingError(what[:80])


class _DType:
    """Stands for ``numpy.dtype``: numbers, truth values and strings only."""

    def __init__(self, name: str, *flags: Any) -> None:
        if not isinstance(name, str) or not re.fullmatch(r'[biufcSU]\d{1,6}', name):
            raise _refusal(f'numpy.dtype({name!r})')
        self.dtype: np.dtype = np.dtype(name)

    def __setstate__(self, state: tuple) -> None:
        # version, byte order, and what belongs to compound types
        if state[1] not in ('<', '>', '|', '=') or any(part is not None for part in state[2:5]):
            raise _refusal(f'numpy.dtype with the state {state!r}')
        if state[1] != '|':
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """Stands for ``numpy.ndarray``."""

    value: np.ndarray | None = None

    def __init__(self, *args: Any) -> None:
        if args:
            raise _refusal('numpy.ndarray(...)')

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, raw = state
        if not isinstance(dtype, _DType) or not isinstance(raw, bytes):
            raise _refusal('numpy.ndarray of objects')
        array = np.frombuffer(raw, dtype.dtype)
        self.value = array.reshape(shape, order='F' if fortran else 'C').copy()


class _LogBuffer:
    """Stands for mmengine's ``HistoryBuffer``."""

    value: HistoryBuffer | None = None

    def __init__(self, *args: Any) -> None:
        if args:
            raise _refusal('HistoryBuffer(...)')

    def __setstate__(self, state: dict) -> None:
        log, count = (_plain(state[f'_{name}_history']) for name in ('log', 'count'))
        if not all(isinstance(x, np.ndarray) and x.ndim == 1 for x in (log, count)):
            raise _refusal('HistoryBuffer of something else than arrays')
        self.value = HistoryBuffer(log, count, int(state['max_length']))


def _reconstruct(cls: type, shape: tuple, kind: bytes) -> _Array:
    if cls is not _Array:
        raise _refusal(f'numpy array of {cls!r}')
    return _Array()


def _scalar(dtype: _DType, raw: bytes) -> Any:
    if not isinstance(dtype, _DType):
        raise _refusal('numpy scalar of an object')
    return np.frombuffer(raw, dtype.dtype)[0]


def _getattr(owner: Any, name: str) -> None:
    """Stand for ``getattr``: mmengine pickles its buffers' methods, which are not needed."""
    if owner is not _LogBuffer:
        raise _refusal(f'getattr({owner!r}, {name!r})')


# What mmengine puts in its checkpoints beside tensors and plain Python: log
# buffers, and NumPy's arrays and scalars.
_ALLOWED: list[Any] = [
    (_LogBuffer, 'mmengine.logging.history_buffer.HistoryBuffer'),
    (_getattr, 'builtins.getattr'),
    (_Array, 'numpy.ndarray'),
    (_DType, 'numpy.dtype'),
    *(
        (stand_in, f'numpy.{core}.multiarray.{name}')
        for name, stand_in in (('_reconstruct', _reconstruct), ('scalar', _scalar))
        for core in ('core', '_core')  # NumPy 1 and 2
    ),
]


def _plain(value: Any) -> Any:
    """Turn the stand-ins in what was read into the real objects."""
    if isinstance(value, _Array | _LogBuffer):
        return value.value
    if isinstance(value, _DType):
        return value.dtype
    if isinstance(value, dict):
        for key in value:
            value[key] = _plain(value[key])
    elif type(value) in (list, tuple):
        return type(value)(_plain(item) for item in value)
    return value


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Let torch build the stand-ins and nothing else.

    What a program allowed for its own use would take their places by chance: torch
    keeps one set of all, in no order.
    """
    before = get_safe_globals()
    clear_safe_globals()
    try:
        with safe_globals(_ALLOWED):
            yield
    finally:
        clear_safe_globals()
        add_safe_globals(before)


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
        UserError: If it is not a checkpoint, is cut off, or needs what is not
            allowed; says which.
    """
    name = str(file)
    options: dict[str, Any] = dict(map_location=map_location, weights_only=not trust)
    try:
        with _stand_ins():
            if name.startswith(('http://', 'https://')):
                # torch finds what it downloaded before by the name alone
                cached = f'{hashlib.sha256(name.encode()).hexdigest()[:8]}-{Path(name).name}'
                content = load_state_dict_from_url(name, file_name=cached, **options)
            elif not Path(name).expanduser().is_file():
                raise FileNotFoundError(f'checkpoint {name} can not be found')
            else:
                content = torch.load(Path(name).expanduser(), **options)
        content = _plain(content)
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:
        raise UserError(_why(name, error)) from error
    if not isinstance(content, dict):
        raise UserError(f'checkpoint {name}: expected a dict, it holds a {type(content).__name__}')
    return content


def _why(name: str, error: Exception) -> str:
    """Say why a checkpoint could not be read."""
    message = ' '.join(str(error).split())
    # what torch's unpickler says comes behind its advice to load unsafely
    reason = message.partition('WeightsUnpickler error:')[2].partition(' Please file')[0]
    reason = (reason.partition(' Check the documentation')[0] or message).strip()[:200]
    # torch names what it refused; of a zip file it can list all at once
    refused = re.findall(r'GLOBAL ([\w.]+)|function (\w[\w.]*)', message)
    file = Path(name).expanduser()
    if refused or (file.is_file() and zipfile.is_zipfile(file)):
        try:
            with _stand_ins():
                needs = get_unsafe_globals_in_checkpoint(file)
        except Exception:  # the format before PyTorch 1.6
            needs = []
        needs = needs or ['.'.join(filter(None, names)) for names in refused[:1]]
        what = ', '.join(needs) or f'something that is not allowed ({reason})'
        return (
            f'checkpoint {name} needs {what}, which weights have no use for: refused; '
            '--trust loads it and runs whatever code is in it'
        )
    return (
        f'checkpoint {name}: expected a file that torch can load, it is cut off or no checkpoint '
        f'({reason})'
    )


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
