import os
import signal
import time
from multiprocessing import get_context

import pytest

from mmrot.engine.preemption import SIGNALS, Preemption


@pytest.mark.parametrize('number', SIGNALS)
def test_signal_is_noted_while_listening(number):
    before = signal.getsignal(number)
    preemption = Preemption()
    with preemption.listening():
        assert preemption.agree(True) == (None, True)
        os.kill(os.getpid(), number)
        assert preemption.status() == 128 + number
        assert preemption.agree() == (128 + number, False)
    assert signal.getsignal(number) == before


def test_signal_ends_forked_processes():
    """Also those that have not started to run Python yet, as in a pool that ends at once."""
    context = get_context('fork')
    codes = []
    with Preemption().listening():
        for _ in range(30):
            process = context.Process(target=time.sleep, args=(60,))
            process.start()
            process.terminate()
            process.join(5)
            codes.append(process.exitcode)
            process.kill()
    assert codes == 30 * [-signal.SIGTERM]
