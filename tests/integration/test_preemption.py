"""Jobs that are asked to end save their state, and end in the same weights when resumed."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
import torch
from helpers import ROOT, free_port

import mmrot

OPTIONS = [
    *('model.backbone.width=6', 'model.head.in_channels=6', 'train_cfg.max_epochs=3'),
    *('train_dataloader.dataset.indices=160', 'train_dataloader.batch_size=8'),
    *('val_dataloader.dataset.indices=8', 'default_hooks.logger.interval=1'),
    *(
        'randomness.seed=0',
        'default_hooks.checkpoint.interval=3',
        'train_dataloader.num_workers=1',
    ),
]


def start(output, *arguments):
    config = mmrot.config_path('rotnet/nin4_digits.py')
    command = [sys.executable, '-m', 'mmrot.cli', 'train', config]
    environment = {
        **os.environ,
        'OMP_NUM_THREADS': '1',
        'PYTHONPATH': str(ROOT),
        'PORT': str(free_port()),
        'PYTHONUNBUFFERED': '1',
    }
    with output.open('w') as file:
        return subprocess.Popen(
            [*command, *arguments, '--cfg-options', *OPTIONS],
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )


def weights(work_dir):
    return torch.load(work_dir / 'epoch_3.pth', weights_only=False)['state_dict']


@pytest.mark.slow
@pytest.mark.parametrize('processes', [1, 2])
def test_signal_saves_and_resume_ends_in_the_same_weights(processes, tmp_path):
    output = tmp_path / 'output'
    gpus = ['--gpus', str(processes)]
    arguments = [*gpus, '--work-dir', str(tmp_path / 'whole')]
    assert start(output, *arguments).wait(120) == 0, output.read_text()
    # torchrun ends its processes with SIGTERM for both
    number = signal.SIGUSR1
    seen = signal.SIGTERM if processes > 1 else number
    arguments = [*gpus, '--work-dir', str(tmp_path / 'cut')]
    job = start(output, *arguments)
    while not re.search(r'Epoch\(train\) +\[2\]', output.read_text()):
        assert job.poll() is None, output.read_text()
        time.sleep(0.02)
    job.send_signal(number)
    assert job.wait(60) == 128 + seen, output.read_text()
    (saved,) = (tmp_path / 'cut').glob('iter_*.pth')
    assert f'--resume goes on from {saved.name}' in output.read_text()
    assert start(output, *arguments, '--resume').wait(120) == 0, output.read_text()
    assert not saved.exists()  # epoch_3.pth replaces it
    ours, theirs = weights(tmp_path / 'cut'), weights(tmp_path / 'whole')
    different = [key for key in ours if not torch.equal(ours[key], theirs[key])]
    assert different == []


@pytest.mark.slow
def test_processes_end_when_torchrun_is_killed(tmp_path):
    output = tmp_path / 'output'
    job = start(output, '--gpus', '2', '--work-dir', str(tmp_path / 'run'))
    while not re.search(r'Epoch\(train\) +\[1\]', output.read_text()):
        assert job.poll() is None, output.read_text()
        time.sleep(0.02)
    job.kill()
    job.wait()
    deadline = time.monotonic() + 60
    while 'Stopped by SIGTERM' not in output.read_text():
        assert time.monotonic() < deadline, output.read_text()
        time.sleep(0.1)
    assert len([*(tmp_path / 'run').glob('iter_*.pth')]) == 1
