import os
import signal
from multiprocessing import get_context

import pytest

from mmrot.engine import lock
from mmrot.engine.lock import locked
from mmrot.errors import UserError


@pytest.fixture(autouse=True)
def no_patience(monkeypatch):
    monkeypatch.setattr(lock, '_PATIENCE', 0.0)


def hold(folder, connection):
    with locked(folder):
        connection.send('locked')
        signal.pause()


def test_second_job_is_refused(tmp_path):
    with locked(tmp_path):
        message = f'another job is training in {tmp_path}: process {os.getpid()} on '
        with pytest.raises(UserError, match=message), locked(tmp_path):
            pass
    with locked(tmp_path):
        pass


def test_lock_ends_with_a_killed_job(tmp_path):
    context = get_context('fork')
    here, there = context.Pipe()
    job = context.Process(target=hold, args=(tmp_path, there))
    job.start()
    assert here.recv() == 'locked'
    with pytest.raises(UserError, match=f'process {job.pid} on '), locked(tmp_path):
        pass
    job.kill()
    job.join()
    with locked(tmp_path):
        pass
