"""The commands in tools/benchmarks, as a user calls them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import ROOT

from mmrot.models import NIN
from mmrot.results import read_records

COMMANDS = ['linear_eval', 'nonlinear_eval', 'cifar10_eval', 'semi_supervised']
NARROW = [
    'train_dataloader.batch_size=6',
    'train_dataloader.num_workers=0',
    'val_dataloader.num_workers=0',
    'train_cfg.max_epochs=1',
    'model.backbone.width=12',
    'model.head.probes.conv2.in_channels=12',
    'model.head.probes.conv2.width=12',
]


def call(name: str, *args: object, cwd: Path, port: int = 29500) -> subprocess.CompletedProcess:
    return subprocess.run(
        [ROOT / f'tools/benchmarks/{name}.sh', *map(str, args)],
        cwd=cwd,
        env={**os.environ, 'PORT': str(port), 'PYTHON': sys.executable},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize('name', COMMANDS)
def test_help_and_bad_calls(name, tmp_path):
    run = call(name, '--help', cwd=tmp_path)
    assert run.returncode == 0
    assert f'{name}.sh CHECKPOINT [GPUS] [CONFIG] [ARGS...]' in run.stdout
    run = call(name, cwd=tmp_path)
    assert (run.returncode, run.stdout) == (2, '')
    assert 'usage: ' in run.stderr
    run = call(name, 'none.pth', cwd=tmp_path)
    assert run.returncode == 2
    assert run.stderr == "mmrot: error: CHECKPOINT=none.pth: expected a file, or 'random'\n"
    run = call(name, 'random', 1, 'none.py', cwd=tmp_path)
    assert (run.returncode, run.stderr) == (2, 'mmrot: error: CONFIG=none.py: no such file\n')
    run = call(name, 'random', 'one', cwd=tmp_path)
    assert run.returncode == 2
    assert 'GPUS=one: expected a whole number' in run.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_every_k_in_two_processes_and_one_table(labelled_folder, tmp_path):
    net = NIN(4, 12)
    net.init_weights()
    (tmp_path / 'my nin').mkdir()
    checkpoint = tmp_path / 'my nin/epoch_1.pth'
    state = {f'backbone.{key}': value for key, value in net.state_dict().items()}
    torch.save({'state_dict': state}, checkpoint)
    arguments = [
        *(checkpoint, 2, '--labelled-folder', labelled_folder, '--cfg-options', *NARROW),
        'train_dataloader.dataset.epoch_length=30',
    ]
    run = call('semi_supervised', *arguments, cwd=tmp_path, port=29611)
    work_dir = tmp_path / 'work_dirs/nin4_semi_supervised_cifar10/my nin_epoch_1'
    assert run.returncode != 0
    assert 'num_per_class=5000: class dark has 4 images' in run.stderr
    assert not list((work_dir / '5000per_class').glob('*.*'))  # nothing but logs

    option = 'train_dataloader.dataset.num_per_class=3'
    run = call('semi_supervised', *arguments, option, cwd=tmp_path, port=29612)
    assert run.returncode == 0, run.stderr
    (record,) = read_records(work_dir / 'table.json')
    assert record == read_records(work_dir / '3per_class')[0]
    assert list(record.values) == ['3']
    assert record.row == 'semi-supervised'
    assert (record.processes, record.samples_per_epoch, record.batch_size) == (2, 30, 12)
    assert (record.data, record.images) == ('three classes', 6)
    assert run.stdout.count('Training with few examples per category') == 2  # the run's, and all
    # another K joins the first one
    option = 'train_dataloader.dataset.num_per_class=2'
    run = call('semi_supervised', *arguments, option, cwd=tmp_path, port=29614)
    assert run.returncode == 0, run.stderr
    assert [list(r.values) for r in read_records(work_dir / 'table.json')] == [['2'], ['3']]
    trained = torch.load(work_dir / '3per_class/epoch_1.pth', weights_only=False)['state_dict']
    for key, value in trained.items():
        if key.startswith('backbone.'):
            assert torch.equal(value, state[key])


def test_half_a_checkpoint_by_the_command(labelled_folder, tmp_path):
    state = {key: value for key, value in NIN(4, 12).state_dict().items() if 'block1' in key}
    torch.save(state, tmp_path / 'half.pth')
    config = ROOT / 'configs/benchmarks/classification/nin4_conv_cifar10.py'
    run = call(
        'cifar10_eval',
        *('half.pth', 1, config, '--labelled-folder', labelled_folder, '--work-dir', 'here'),
        *('--cfg-options', *NARROW),
        cwd=tmp_path,
        port=29613,
    )
    assert run.returncode == 1
    assert 'half.pth lacks 18 of the 36 keys of NIN: block2.layer1' in run.stderr
    assert not list((tmp_path / 'here').glob('*.*'))
