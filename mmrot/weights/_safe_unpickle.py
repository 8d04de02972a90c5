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
import torch
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
        # a read-only view: thousands of arrays may share the same bytes
        self.value = dtype.read(data).reshape(shape, order='F' if fortran else 'C')


class _LogBuffer:
    """Stand-in for mmengine's ``HistoryBuffer``."""

    value: HistoryBuffer | None = None

    def __setstate__(self, state: dict) -> None:
        histories = [state[f'_{name}_history'] for name in ('log', 'count')]
        if not all(isinstance(history, _Array) for history in histories):
            raise _refusal('HistoryBuffer without arrays')
        self.value = HistoryBuffer(max_length=state['max_length'])
        self.value._log_history, self.value._count_history = (item.value for item in histories)


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
    """Replace the stand-ins in nested dictionaries, lists and tuples with real objects.

    Each container is visited once: 2,000 bytes of nested, shared ones can have 2^40 paths.

    Raises:
        pickle.UnpicklingError: If a container contains itself.
    """
    done: dict[int, Any] = {}
    kept: list[Any] = []  # so that no id is used twice

    def replace(value: Any) -> Any:
        if isinstance(value, _DType | _Array | _LogBuffer):
            return value.value
        if not isinstance(value, dict) and type(value) not in (list, tuple):
            return value
        if id(value) in done:
            if done[id(value)] is pending:
                raise _refusal('a container that contains itself')
            return done[id(value)]
        done[id(value)] = pending
        kept.append(value)
        if isinstance(value, dict):
            for key in value:
                value[key] = replace(value[key])
            result = value
        else:
            result = type(value)(replace(item) for item in value)
        done[id(value)] = result
        return result

    pending = object()
    return replace(value)


def check_tensors(value: Any, limit: int) -> None:
    """Check that no tensor is larger than the file that it comes from.

    A tensor can repeat its elements by strides of zero, and a sparse one can have any shape: a
    file of 1,500 bytes can contain a tensor of 4 TB, which any copy of it would allocate.

    Args:
        value: Nested dictionaries, lists and tuples, none of which contains itself.
        limit: Size of the file in bytes.

    Raises:
        pickle.UnpicklingError: If a tensor is larger.
    """
    seen: set[int] = set()
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, torch.Tensor) and item.numel() * item.element_size() > limit:
            raise _refusal(f'a tensor of {item.numel() * item.element_size():,} bytes')
        if isinstance(item, dict | list | tuple | set) and id(item) not in seen:
            seen.add(id(item))
            stack.extend(item.values() if isinstance(item, dict) else item)
