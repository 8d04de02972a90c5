"""Read files, or ranges of their bytes, from a folder, a command, a web server or an object store.

Local files are read with ``os.pread``, ``http(s)://`` with the standard library, and other URLs,
such as ``s3://``, with fsspec.
"""

import errno
import hashlib
import io
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import lru_cache
from http.client import IncompleteRead
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import fsspec
from filelock import FileLock

from mmrot.errors import UserError
from mmrot.files import replacing

_T = TypeVar('_T')
_PIPE = 'pipe:'
_TIMEOUT = 60  # seconds without an answer of a server
_PAUSES = (1, 5, 25)  # seconds before the next attempts
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ShardStorage:
    """The files of a pack.

    Args:
        root: Local folder; URL of a folder; or ``pipe:COMMAND``, whose ``{shard}`` stands for the
            name of a file that the shell command writes to its standard output.
        cache_dir: Local folder to which a remote file is copied when it is first needed. Required
            for commands.

    Raises:
        UserError: If ``root`` is a command without ``{shard}`` or without ``cache_dir``.
    """

    def __init__(self, root: str, cache_dir: str | None = None) -> None:
        self.root = root.rstrip('/')
        self._command = root.startswith(_PIPE)
        self._http = root.startswith(('http://', 'https://'))
        self.local = not self._command and '://' not in root
        self._cache_dir = None if self.local else cache_dir
        self._cache = None if self._cache_dir is None else Path(self._cache_dir)
        self._copied: set[str] = set()
        if self._command and '{shard}' not in root:
            raise UserError(f'data_root={root!r} has no {{shard}}, the name of the file to read.')
        if self._command and self._cache is None:
            raise UserError(f'data_root={root!r} needs cache_dir, a folder for the shards.')

    def read_index(self, name: str) -> BinaryIO:
        """Read a small file completely.

        Files of another index are cached in another folder.

        Raises:
            UserError: If it cannot be read.
        """
        if self.local:
            return Path(self.root, name).open('rb')
        with tempfile.TemporaryFile() as file:
            self._download(name, file)
            file.seek(0)
            content = file.read()
        if self._cache_dir is not None:
            digest = hashlib.sha256(self.root.encode() + content).hexdigest()
            self._cache = Path(self._cache_dir, digest[:16])
        return io.BytesIO(content)

    def read(self, name: str, start: int, size: int, total: int) -> bytes:
        """Read part of a file.

        Args:
            name: Name of the file.
            start: Offset in bytes.
            size: Number of bytes.
            total: Size of the whole file in bytes, which a copy must have.

        Returns:
            The bytes: fewer than ``size`` if the file ends before.

        Raises:
            UserError: If it cannot be read.
        """
        if self.local:
            path = f'{self.root}/{name}'
        elif self._cache is not None:
            path = self._copy(name, total, self._cache)
        else:
            return self._retried(lambda: self._read_range(name, start, size), name)
        try:
            return os.pread(_open(path).number, size, start)
        except OSError as error:
            raise UserError(f'{path} cannot be read: {error.strerror}.') from error

    def address(self, name: str) -> str:
        """Return the path, URL or ``pipe:`` command of a file."""
        if self._command:
            return self.root.replace('{shard}', name)
        return f'{self.root}/{name}'

    def _copy(self, name: str, total: int, folder: Path) -> str:
        """Copy a file to the cache unless it is there, and return its path."""
        path = folder / name
        if name in self._copied:
            return str(path)
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f'{path}.lock'):  # others wait until it is complete
            if not path.exists() or path.stat().st_size != total:
                with replacing(path) as temporary:
                    with temporary.open('wb') as file:
                        self._download(name, file)
                    if (size := temporary.stat().st_size) != total:
                        raise UserError(_size_message(self.address(name), size, total))
        self._copied.add(name)
        return str(path)

    def _read_range(self, name: str, start: int, size: int) -> bytes:
        if not self._http:
            system, path = fsspec.core.url_to_fs(self.address(name))
            return system.cat_file(path, start=start, end=start + size)
        headers = {'Range': f'bytes={start}-{start + size - 1}'}
        with urlopen(Request(self.address(name), headers=headers), timeout=_TIMEOUT) as answer:
            if answer.status != 206:
                raise UserError(
                    f'{self.root}: the server ignores byte ranges. Set cache_dir, a folder for '
                    'copies of whole shards.'
                )
            return answer.read()

    def _download(self, name: str, file: BinaryIO) -> None:
        """Write a whole file to an open one."""

        def write() -> None:
            file.seek(0)
            file.truncate()
            if self._command:
                command = self.address(name).removeprefix(_PIPE)
                done = subprocess.run(command, shell=True, stdout=file, stderr=subprocess.PIPE)
                if done.returncode:
                    message = ' '.join(done.stderr.decode(errors='replace').split())
                    raise UserError(
                        f'{command} ended with status {done.returncode}: {message[-300:]}'
                    )
                return
            url = self.address(name)
            with (
                urlopen(url, timeout=_TIMEOUT) if self._http else fsspec.open(url, 'rb')
            ) as stream:
                shutil.copyfileobj(stream, file)

        self._retried(write, name)

    def _retried(self, function: Callable[[], _T], name: str) -> _T:
        """Call a function again if the network fails."""
        for pause in (*_PAUSES, None):
            try:
                return function()
            except UserError:
                raise
            # fsspec raises the others if a protocol is unknown or its package is missing
            except (OSError, IncompleteRead, ValueError, ImportError) as error:
                if isinstance(error, OSError) and error.errno in _FULL:
                    where = self._cache or tempfile.gettempdir()
                    raise UserError(
                        f'{self.address(name)} cannot be copied to {where}: {error.strerror}.'
                    ) from error
                if pause is None or not _transient(error):
                    raise UserError(f'{self.address(name)} cannot be read: {error}.') from error
                time.sleep(pause)
        raise AssertionError


def _transient(error: Exception) -> bool:
    if isinstance(error, HTTPError):
        return error.code >= 500 or error.code in (408, 429)  # timeout, too many requests
    return isinstance(error, URLError | ConnectionError | TimeoutError | IncompleteRead)


def _size_message(path: Any, size: int, expected: int) -> str:
    return (
        f'shard {path} has {size:,} bytes, but its index says {expected:,}. Copy or pack it again.'
    )


def check_sizes(storage: ShardStorage, sizes: dict[str, int]) -> None:
    """Check the sizes of local files.

    Args:
        storage: The files; remote ones are not checked.
        sizes: Name → size in bytes.

    Raises:
        UserError: If a file is missing or has another size.
    """
    _open.cache_clear()  # files may have been replaced
    for name, expected in sizes.items() if storage.local else ():
        path = Path(storage.root, name)
        if not path.exists():
            raise UserError(f'shard {path} is missing.')
        if (size := path.stat().st_size) != expected:
            raise UserError(_size_message(path, size, expected))


class _Descriptor:
    def __init__(self, path: str) -> None:
        self.number = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, 'number'):
            os.close(self.number)


# Forked processes may share descriptors: pread has no position.
@lru_cache(maxsize=256)
def _open(path: str) -> _Descriptor:
    return _Descriptor(path)
