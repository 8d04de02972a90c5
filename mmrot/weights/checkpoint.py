"""Load checkpoints from untrusted sources without executing code in them."""

import hashlib
import io
import pickle
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mmengine
import torch
from mmengine.runner import CheckpointLoader
from torch.hub import load_state_dict_from_url

from mmrot.errors import UserError

from ._safe_unpickle import real_objects, stand_ins

# Object storage in mmengine's notation, such as s3://bucket/file and cluster:s3://bucket/file.
_STORAGE = r'(\S+\:)?(s3|petrel)://'
# Errors that torch.load raises for damaged files, found by mutating some.
_UNREADABLE = (
    AssertionError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
)


def load_checkpoint(
    file: str | Path, map_location: str | Callable | None = 'cpu', trust: bool = False
) -> dict[str, Any]:
    """Load a checkpoint of tensors, plain Python objects and mmengine's log buffers.

    Args:
        file: Path, or http(s) or s3 URL.
        map_location: As in :func:`torch.load`.
        trust: Whether to unpickle arbitrary objects. The file can then run arbitrary code.

    Returns:
        Content of the file.

    Raises:
        FileNotFoundError: If there is no such file.
        UserError: If the file is not a checkpoint, is truncated, or contains objects that are
            not allowed; the message names the first one.
    """
    name = str(file)
    options: dict[str, Any] = dict(map_location=map_location, weights_only=not trust)
    remote = name.startswith(('http://', 'https://'))
    path: Any = Path(name).expanduser()
    if re.match(_STORAGE, name):
        path = io.BytesIO(mmengine.fileio.get(name, backend_args=dict(backend='petrel')))
    elif not remote and not path.is_file():
        raise FileNotFoundError(f'checkpoint {name} does not exist.')
    try:
        with stand_ins():
            if remote:
                # torch identifies earlier downloads by their name alone
                cached = f'{hashlib.sha256(name.encode()).hexdigest()[:8]}-{path.name}'
                content = load_state_dict_from_url(name, file_name=cached, **options)
            else:
                content = torch.load(path, **options)
        content = real_objects(content)
    except (*_UNREADABLE, OSError) as error:
        if isinstance(error, OSError) and (remote or error.filename):
            raise  # the others are of truncated archives
        # torch's own message is mostly advice to load without restrictions
        reason = str(error.__context__ or error).partition('. ')[0].rstrip('.')[:200]
        if isinstance(error, pickle.UnpicklingError):
            raise UserError(
                f'checkpoint {name} is damaged or contains more than weights ({reason}). '
                '--trust loads it and runs any code in it.'
            ) from error
        raise UserError(
            f'checkpoint {name} is truncated or not a checkpoint ({reason}).'
        ) from error
    if not isinstance(content, dict):
        raise UserError(f'checkpoint {name} contains a {type(content).__name__}, expected a dict.')
    return content


def sha256(file: str | Path) -> str:
    """Compute the SHA-256 hash of a file."""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


@contextmanager
def safe_checkpoint_loading(trust: bool = False) -> Iterator[None]:
    """Make mmengine load checkpoints with :func:`load_checkpoint`.

    mmengine's own loader unpickles anything when restricted loading fails. Names in the model
    zoos of torchvision and OpenMMLab (``torchvision://resnet50``) still go to it.

    Args:
        trust: Whether to unpickle arbitrary objects, as in :func:`load_checkpoint`.
    """
    before = CheckpointLoader._schemes.copy()

    # mmengine logs the name: "Loads checkpoint by safe backend"
    def load_from_safe(filename: str, map_location: Any = None, **kwargs) -> dict[str, Any]:
        return load_checkpoint(filename, map_location, trust)

    prefixes = ('', 'http://', 'https://', r'(\S+\:)?s3://', r'(\S+\:)?petrel://', 'pavi://')
    CheckpointLoader.register_scheme(prefixes, load_from_safe, force=True)
    try:
        yield
    finally:
        CheckpointLoader._schemes = before
