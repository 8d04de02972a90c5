import os
import signal
from multiprocessing import get_context

import pytest

from mmrot.engine.preemption import SIGNALS, Preemption


@pytest.mark.parametrize('number', SIGNALS)
def test_signal_is_noted_while_listening(number):
    before = signal.getsignal(number)
    preemption = Preemption()
    with preemption.listening():
        assert preemption.status(agree=True) is None
        os.kill(os.getpid(), number)
        assert preemption.status(agree=True) == 128 + number
    assert signal.getsignal(number) == before


def test_signal_ends_forked_processes():
    with Preemption().listening():
        process = get_context('fork').Process(target=signal.pause)
        process.start()
        process.terminate()
        process.join(10)
    assert process.exitcode == -signal.SIGTERM
