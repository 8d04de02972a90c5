import fcntl
import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from mmrot.errors import UserError
from mmrot.results import write_atomically


class Job:
    """One training in a work directory of its own, which goes on where it stopped.

    What it is, whether it has ended and how long it took, over its starts, are kept
    in ``job.json`` there.

    Args:
        work_dir (Path): Of the training.
        **identity: What may not change between two starts, such as the sha256 of
            its config.

    Raises:
        UserError: If the directory has a job of another identity.
    """

    def __init__(self, work_dir: Path, **identity: Any) -> None:
        self.work_dir = work_dir
        self._file = work_dir / 'job.json'
        self._state = dict(identity, seconds=0.0, finished=False)
        if self._file.exists():
            found = json.loads(self._file.read_text(encoding='utf-8'))
            if any(found.get(key) != value for key, value in identity.items()):
                raise UserError(
                    f'{work_dir} was begun with another config or on other images: remove it, or '
                    'choose another --work-dir'
                )
            self._state = found

    @property
    def finished(self) -> bool:
        """Whether the training came to its end."""
        return self._state['finished']

    @property
    def seconds(self) -> int:
        """How long it took, all starts together but those that were killed."""
        return round(self._state['seconds'])

    def run(self, command: Sequence[str]) -> None:
        """Train, or go on, if it has not ended.

        Args:
            command (Sequence[str]): It ends with 0 when the training has ended.

        Raises:
            UserError: If it ends with anything else, or another process trains here.
        """
        if self.finished:
            return
        self.work_dir.mkdir(parents=True, exist_ok=True)
        with self._lock() as lock:
            start = time.monotonic()
            self._write()
            try:
                call(command, self.work_dir / 'output.log', pass_fds=(lock.fileno(),))
                self._state['finished'] = True
            finally:
                self._state['seconds'] += time.monotonic() - start
                self._write()

    def _write(self) -> None:
        write_atomically(self._file, json.dumps(self._state, indent=2) + '\n')

    @contextmanager
    def _lock(self) -> Iterator[IO]:
        """Keep others out: the training holds the lock too, should it outlive this process."""
        with (self.work_dir / 'lock').open('w') as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(f'{self.work_dir}: another process trains here') from None
            yield lock


def call(command: Sequence[str], log: Path, **kwargs: Any) -> None:
    """Run a command; what it prints goes to the end of a file.

    Args:
        command (Sequence[str]): With its arguments.
        log (Path): The file.
        **kwargs: Of ``subprocess.run``, which ends the command when this process
            is interrupted.

    Raises:
        UserError: If it does not end with 0; names the file, gives its last line.
    """
    with log.open('ab') as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, **kwargs)
    if done.returncode:
        last = log.read_text(errors='replace').strip().splitlines()[-1:]
        raise UserError(f'{log.parent.name} stopped, see {log}: {" ".join(last)}')
