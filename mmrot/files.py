"""Write files completely or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Write a file under another name, and rename it when it is complete and on the disk.

    A process that is killed leaves the old file, or the new one, never a part of it.

    Args:
        path: The file; an existing one is replaced.

    Yields:
        Path to write to, in the same folder. It is removed if the block raises an exception.
    """
    path = Path(path)
    temporary = path.with_name(f'.{path.name}.tmp')
    try:
        yield temporary
        with temporary.open('rb') as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    with suppress(OSError):  # not every file system can sync a folder
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_atomically(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8, completely or not at all.

    Args:
        path: The file; an existing one is replaced.
        text: Its new content. File names in other encodings are written as the system has them.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding='utf-8', errors='surrogateescape')
