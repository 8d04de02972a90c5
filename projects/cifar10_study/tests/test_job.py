import fcntl
import json
import sys

import pytest

from projects.cifar10_study.job import Job


def python(code: str) -> list[str]:
    return [sys.executable, '-c', code]


def test_job_is_resumed_until_it_finishes(tmp_path):
    folder = tmp_path / 'conv_seed0'
    job = Job(folder, config_sha256='a')
    with pytest.raises(ValueError, match=r'conv_seed0 failed, see .*output\.log: out of memory'):
        job.run(python('import time; time.sleep(0.6); raise SystemExit("out of memory")'))
    assert (job.finished, job.seconds) == (False, 1)
    again = Job(folder, config_sha256='a')
    assert (again.finished, again.seconds) == (False, 1)
    again.run(python('import time; time.sleep(0.6); print("done")'))
    ended = Job(folder, config_sha256='a')
    assert ended.finished
    assert json.loads((folder / 'job.json').read_text())['seconds'] > 1.2  # both starts
    ended.run(python('raise SystemExit("once too often")'))
    assert (folder / 'output.log').read_text().split() == ['out', 'of', 'memory', 'done']


def test_job_with_another_config_raises(tmp_path):
    Job(tmp_path, config_sha256='a').run(python(''))
    with pytest.raises(ValueError, match='was started with another config or on other images'):
        Job(tmp_path, config_sha256='b')


def test_job_in_use_raises(tmp_path):
    with (tmp_path / 'lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match='is in use by another process'):
            Job(tmp_path).run(python(''))
    assert not (tmp_path / 'job.json').exists()
