"""Save and stop on SIGTERM and SIGUSR1, as schedulers send them before they end a job."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch
from mmengine.dist import is_distributed

from .distributed import duration

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class Preemption:
    """Notices that a job is asked to end.

    With several processes, all of them agree after every iteration on whether one was asked. Those
    of a torchrun that was killed are asked, too.

    Args:
        timeout: See :func:`mmrot.engine.distributed.init_gloo`.
    """

    def __init__(self, timeout: float | None = None) -> None:
        self._signal = 0
        self._timeout = duration(timeout)
        self._launcher = os.getppid() if torch.distributed.is_torchelastic_launched() else None
        self.group: torch.distributed.ProcessGroup | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Catch the signals. In other threads than the main one, they keep their effect."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        if is_distributed():
            # on the CPU: a GPU would have to be waited for
            self.group = torch.distributed.new_group(timeout=self._timeout, backend='gloo')
        before = {number: signal.signal(number, self._note) for number in SIGNALS}
        _listening.append(self)
        try:
            yield
        finally:
            _listening.remove(self)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signal = number

    def status(self) -> int | None:
        """Return the status for this process to exit with, 128 + signal, or None to go on."""
        if self._launcher is not None and os.getppid() != self._launcher:
            self._signal = signal.SIGTERM
        return 128 + self._signal if self._signal else None

    def agree(self, flag: bool = False) -> tuple[int | None, bool]:
        """Agree on what to do. All processes must call this method.

        Args:
            flag: Something else that all must know if it is true for one of them.

        Returns:
            The status for all processes to exit with, or None to go on; the flag.
        """
        if self.group is None:
            return self.status(), flag
        state = torch.tensor([self.status() or 0, flag])
        torch.distributed.all_reduce(state, torch.distributed.ReduceOp.MAX, self.group)
        return int(state[0]) or None, bool(state[1])

    def wait(self) -> None:
        """Wait for the other processes of the job."""
        if self.group is not None:
            torch.distributed.barrier(self.group)


# In a process that a job forks, such as those of a pool, the signals have their usual effect. They
# are blocked during the fork: Python forgets those that arrive before the new process runs.
_listening: list[Preemption] = []


def _before_fork() -> None:
    if _listening:
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def _after_fork_in_parent() -> None:
    if _listening:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _after_fork_in_child() -> None:
    if _listening:
        _listening.clear()
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)


def protect_worker(worker_id: int, **_: object) -> None:
    """Keep the signals from a worker of a dataloader, which the main process still needs.

    Args:
        worker_id: Number of the worker.
        **_: What mmengine passes to such functions.
    """
    os.setpgid(0, 0)  # torchrun signals the group of the main process
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
