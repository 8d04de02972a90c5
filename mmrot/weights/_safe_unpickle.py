"""Make ``torch.load(weights_only=True)`` accept mmengine's checkpoints, and nothing more.

Threat model: a checkpoint may come from anyone, and its pickle may be crafted to attack
whoever loads it. torch's restricted unpickler only builds tensors and plain Python objects, so
it rejects every checkpoint of mmengine: these also contain NumPy arrays, NumPy scalars and log
buffers. mmengine allows the real classes and ``getattr``, and falls back to unrestricted
unpickling. With the real classes, a file can

- use ``getattr`` to reach the dictionary of all built-in functions;
- pass a shape to ``numpy.dtype.__setstate__`` so that an array of 8 bytes reads 800,000;
- replace methods of the class ``HistoryBuffer``, whose state may contain some.

So torch builds the stand-ins below instead, which check their arguments and are replaced with
real objects after loading. Other allowed globals are cleared in the meantime: torch keeps all of
them in one unordered set, so a real class allowed by another library could take precedence over
its stand-in.
"""

import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from mmengine.logging.history_buffer import HistoryBuffer
from torch.serialization import (
    add_safe_globals,
    clear_safe_globals,
    get_safe_globals,
    safe_globals,
)


def _refusal(what: str) -> pickle.UnpicklingError:
    # torch matches messages against a pattern that takes minutes on a long one
    return pickle.UnpicklingError(f'{what[:80]} is not allowed')


class _DType:
    """Stand-in for ``numpy.dtype`` of numbers, booleans and strings."""

    def __init__(self, name: str, *flags: Any) -> None:
        if not isinstance(name, str) or not re.fullmatch(r'[biufcSU]\d{1,6}', name):
            raise _refusal(f'numpy.dtype({name!r})')
        self.value: np.dtype = np.dtype(name)

    def __setstate__(self, state: tuple) -> None:
        _, byte_order, *compound = state[:5]
        if any(part is not None for part in compound):
            raise _refusal('numpy.dtype of a compound type')
        self.value = self.value.newbyteorder(byte_order)

    def read(self, data: bytes) -> np.ndarray:
        return np.frombuffer(data, self.value)


class _Array:
    """Stand-in for ``numpy.ndarray``."""

    value: np.ndarray | None = None

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, _DType):
            raise _refusal('numpy.ndarray of objects')
        self.value = dtype.read(data).reshape(shape, order='F' if fortran else 'C').copy()


class _LogBuffer:
    """Stand-in for mmengine's ``HistoryBuffer``."""

    value: HistoryBuffer | None = None

    def __setstate__(self, state: dict) -> None:
        log, count = (real_objects(state[f'_{name}_history']) for name in ('log', 'count'))
        self.value = HistoryBuffer(log, count, state['max_length'])


def _reconstruct(*args: Any) -> _Array:
    """Stand in for the function that creates an empty array, which ``__setstate__`` fills."""
    return _Array()


def _scalar(dtype: _DType, data: bytes) -> Any:
    if not isinstance(dtype, _DType):
        raise _refusal('numpy scalar of an object')
    return dtype.read(data)[0]


def _getattr(owner: Any, name: str) -> None:
    """Stand in for ``getattr``, which log buffers use to refer to their own methods."""
    if owner is not _LogBuffer:
        raise _refusal(f'getattr({owner!r}, {name!r})')


_STAND_INS: list[Any] = [
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


@contextmanager
def stand_ins() -> Iterator[None]:
    """Allow torch to build the stand-ins, and nothing else beyond its built-in types."""
    before = get_safe_globals()
    clear_safe_globals()
    try:
        with safe_globals(_STAND_INS):
            yield
    finally:
        clear_safe_globals()
        add_safe_globals(before)


def real_objects(value: Any) -> Any:
    """Replace the stand-ins in nested dictionaries, lists and tuples with real objects."""
    if isinstance(value, _DType | _Array | _LogBuffer):
        return value.value
    if isinstance(value, dict):
        for key in value:
            value[key] = real_objects(value[key])
    elif type(value) in (list, tuple):
        return type(value)(real_objects(item) for item in value)
    return value
