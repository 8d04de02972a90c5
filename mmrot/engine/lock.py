import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EACCES, EAGAIN
from pathlib import Path
from time import monotonic, sleep
from typing import TextIO

from mmrot.errors import UserError

try:
    import fcntl
except ModuleNotFoundError:  # on Windows
    fcntl = None  # type: ignore[assignment]

# Workers of a job that was killed hold its lock until they notice, after about 5 s.
_PATIENCE = 10.0


@contextmanager
def locked(work_dir: str | Path) -> Iterator[None]:
    """Reserve a work directory for one training job.

    The operating system releases the lock when the last process of the job ends, in whatever
    way. File systems without locks are not protected.

    Args:
        work_dir: Existing folder; the lock is the file ``.lock`` in it.

    Raises:
        UserError: If another job is training there; names its process and machine.
    """
    if fcntl is None:
        yield
        return
    path = Path(work_dir, '.lock')
    with _acquire(path) as file:
        file.truncate(0)
        file.write(f'process {os.getpid()} on {socket.gethostname()}')
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_UN)  # the job's workers share it


def _acquire(path: Path) -> TextIO:
    deadline = monotonic() + _PATIENCE
    while True:
        file = path.open('a+')
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    return file  # not one that another job has removed in the meantime
        except OSError as error:
            if error.errno not in (EACCES, EAGAIN):
                return file  # the file system has no locks
            if monotonic() >= deadline:
                with file:
                    file.seek(0)
                    owner = file.read()
                raise UserError(
                    f'another job is training in {path.parent}: {owner}. Use another --work-dir.'
                ) from error
            sleep(0.2)
        file.close()
