"""Save and stop on SIGTERM and SIGUSR1, as schedulers send them before they end a job."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch
from mmengine.dist import is_distributed

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class Preemption:
    """Notices that a job is asked to end.

    With several processes, all of them agree after every iteration on whether one was asked.
    """

    def __init__(self) -> None:
        self._signal = 0
        self._process = os.getpid()
        self._group: torch.distributed.ProcessGroup | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Catch the signals. In other threads than the main one, they keep their effect."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        if is_distributed():
            # on the CPU: a GPU would have to be waited for
            self._group = torch.distributed.new_group(backend='gloo')
        before = {number: signal.signal(number, self._note) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() == self._process:
            self._signal = number
        else:  # a forked process, such as those of a pool, which SIGTERM has to end
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def status(self, agree: bool) -> int | None:
        """Return the status to exit with, 128 + signal, or None to go on.

        Args:
            agree: Whether to ask the other processes. They must all call this method then.
        """
        if agree and self._group is not None:
            asked = torch.tensor(self._signal)
            torch.distributed.all_reduce(asked, torch.distributed.ReduceOp.MAX, self._group)
            self._signal = int(asked)
        return 128 + self._signal if self._signal else None

    def wait(self) -> None:
        """Wait for the other processes of the job."""
        if self._group is not None:
            torch.distributed.barrier(self._group)


def protect_worker(worker_id: int, **_: object) -> None:
    """Keep the signals from a worker of a dataloader, which the main process still needs.

    Args:
        worker_id: Number of the worker.
        **_: What mmengine passes to such functions.
    """
    os.setpgid(0, 0)  # torchrun signals the group of the main process
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
