"""Load checkpoints from untrusted sources without executing code in them."""

import hashlib
import io
import pickle
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import mmengine
import torch
from mmengine.runner import CheckpointLoader
from torch.hub import download_url_to_file, get_dir

from mmrot.archive import check_archive
from mmrot.errors import UserError

from ._safe_unpickle import check_tensors, real_objects, stand_ins
from .digest import SHA256, weights_sha256

# Object storage in mmengine's notation, such as s3://bucket/file and cluster:s3://bucket/file.
_STORAGE = r'(\S+\:)?(s3|petrel)://'
# Errors that torch.load raises for damaged files, found by mutating some.
UNREADABLE = (
    AssertionError,
    EOFError,
    LookupError,
    MemoryError,
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
        Content of the file. NumPy arrays in it are read-only.

    Raises:
        FileNotFoundError: If there is no such file.
        UserError: If the file is not a checkpoint, is truncated, would take more memory than its
            size, or contains objects that are not allowed; the message names the first one. If
            the weights do not match the hash that was saved with them.
    """
    name = str(file)
    remote = name.startswith(('http://', 'https://'))
    path: Any = Path(name).expanduser()
    if re.match(_STORAGE, name):
        path = io.BytesIO(mmengine.fileio.get(name, backend_args=dict(backend='petrel')))
    elif remote:
        path = _download(name)
    elif not path.is_file():
        raise FileNotFoundError(f'checkpoint {name} does not exist.')
    try:
        with _opened(path) as stream:
            if not trust:
                _check_zip(stream)
            with stand_ins():
                content = torch.load(stream, map_location=map_location, weights_only=not trust)
            size = stream.seek(0, io.SEEK_END)
        content = real_objects(content)
        if not trust:
            check_tensors(content, size)
    except (*UNREADABLE, OSError) as error:
        if isinstance(error, OSError) and error.filename:
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
    check_weights(content, name)
    return content


def _opened(path: Any) -> AbstractContextManager[BinaryIO]:
    return nullcontext(path) if isinstance(path, io.BytesIO) else open(path, 'rb')


def _check_zip(stream: BinaryIO) -> None:
    """Check a file in PyTorch's zip format; files in its older formats are not compressed."""
    zipped = stream.read(4) == b'PK\3\4'
    if zipped:
        check_archive(stream)
    stream.seek(0)


def _download(address: str) -> Path:
    """Download a file, unless it was downloaded before."""
    folder = Path(get_dir(), 'checkpoints')
    folder.mkdir(parents=True, exist_ok=True)
    # with the address, as files of different sources have the same name
    file = folder / f'{hashlib.sha256(address.encode()).hexdigest()[:8]}-{Path(address).name}'
    if not file.exists():
        download_url_to_file(address, str(file))
    return file


def check_weights(checkpoint: dict[str, Any], name: str) -> None:
    """Check the weights of a checkpoint against the SHA-256 hash in its ``meta``, if any.

    Args:
        checkpoint: Content of the file.
        name: Name of the file, for the error message.

    Raises:
        UserError: If they differ.
    """
    meta, weights = checkpoint.get('meta'), checkpoint.get('state_dict')
    expected = meta.get(SHA256) if isinstance(meta, dict) else None
    if expected is not None and isinstance(weights, dict) and weights_sha256(weights) != expected:
        raise UserError(
            f'checkpoint {name} is damaged: its weights do not match the hash in meta.{SHA256}.'
        )


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
