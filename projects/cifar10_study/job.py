import fcntl
import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from mmrot.errors import UserError
from mmrot.files import write_atomically


class Job:
    """A training run in its own work directory, resumed if it was interrupted.

    Its identity, duration and status are stored in ``job.json`` there.

    Args:
        work_dir: Work directory of the training run.
        **identity: Values that must not change when the run is resumed, such as the
            hash of its config.

    Raises:
        UserError: If the directory contains a job with another identity.
    """

    def __init__(self, work_dir: Path, **identity: Any) -> None:
        self.work_dir = work_dir
        self._file = work_dir / 'job.json'
        self._state = dict(identity, seconds=0.0, finished=False)
        if self._file.exists():
            found = json.loads(self._file.read_text(encoding='utf-8'))
            if any(found.get(key) != value for key, value in identity.items()):
                raise UserError(
                    f'{work_dir} was started with another config or on other images: remove it, '
                    'or choose another --work-dir'
                )
            self._state = found

    @property
    def finished(self) -> bool:
        """Whether the training run has ended successfully."""
        return self._state['finished']

    @property
    def seconds(self) -> int:
        """Total duration, without starts that were killed."""
        return round(self._state['seconds'])

    def run(self, command: Sequence[str]) -> None:
        """Run a command that trains, or resumes, unless the job is finished.

        Raises:
            UserError: If the command fails, or another process runs this job.
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
        """Lock the directory; the command inherits the lock in case it outlives this process."""
        with (self.work_dir / 'lock').open('w') as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(f'{self.work_dir} is in use by another process.') from None
            yield lock


def call(command: Sequence[str], log: Path, **kwargs: Any) -> None:
    """Run a command and append its output to a log file.

    Raises:
        UserError: If the command fails; the message contains the last line of the log.
    """
    with log.open('ab') as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, **kwargs)
    if done.returncode:
        last = log.read_text(errors='replace').strip().splitlines()[-1:]
        raise UserError(f'{log.parent.name} failed, see {log}: {" ".join(last)}')
