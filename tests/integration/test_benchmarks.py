"""``mmrot eval`` and the scripts in tools/benchmarks that call it."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import ROOT, free_port

from mmrot.cli import main
from mmrot.cli.eval import KINDS
from mmrot.models import NIN
from mmrot.results import read_records

SCRIPTS = {
    'linear_eval': 'linear',
    'nonlinear_eval': 'nonlinear',
    'cifar10_eval': 'cifar10',
    'semi_supervised': 'semi-supervised',
    'detection': 'detection',
    'segmentation': 'segmentation',
    'voc07_classification': 'voc07',
    'knn': 'knn',
    'svm_voc07': 'svm',
    'svm_lowshot': 'lowshot',
}
NARROW = [
    'train_dataloader.batch_size=6',
    'train_dataloader.num_workers=0',
    'val_dataloader.num_workers=0',
    'train_cfg.max_epochs=1',
    'model.backbone.width=12',
    'model.head.probes.conv2.in_channels=12',
    'model.head.probes.conv2.width=12',
]


def call(name: str, *args: object, cwd: Path) -> subprocess.CompletedProcess:
    env = {**os.environ, 'PORT': str(free_port()), 'PYTHON': sys.executable}
    return subprocess.run(
        [ROOT / f'tools/benchmarks/{name}.sh', *map(str, args)],
        cwd=cwd,
        env={**env, 'PYTHONWARNINGS': 'ignore'},
        capture_output=True,
        text=True,
    )


def save_nin(path: Path) -> dict[str, torch.Tensor]:
    net = NIN(4, 12)
    net.init_weights()
    state = {f'backbone.{key}': value for key, value in net.state_dict().items()}
    path.parent.mkdir(exist_ok=True)
    torch.save({'state_dict': state}, path)
    return state


def test_every_kind_has_a_script():
    assert set(SCRIPTS.values()) == set(KINDS)
    for script, kind in SCRIPTS.items():
        text = (ROOT / f'tools/benchmarks/{script}.sh').read_text()
        assert text.endswith(f'exec "$PYTHON" -m mmrot.cli eval {kind} "$@"\n')


@pytest.mark.parametrize('kind', KINDS)
def test_help_shows_arguments_and_the_default_config(kind, capsys):
    with pytest.raises(SystemExit, match='0'):
        main(['eval', kind, '--help'])
    printed = capsys.readouterr().out
    assert f'usage: mmrot eval {kind} CHECKPOINT [GPUS] [CONFIG]' in printed
    assert '--image-folder' not in printed  # an evaluation needs labels
    assert Path(KINDS[kind].config).name in ''.join(printed.split())


@pytest.mark.parametrize(
    ('arguments', 'status', 'message'),
    [
        ([], '2', 'usage: mmrot eval linear CHECKPOINT'),
        (['none.pth'], 'mmrot: error', "CHECKPOINT=none.pth is neither a file nor 'random'"),
        (['random', '1', 'none.py'], 'mmrot: error', 'none.py is neither a file nor one of'),
        (['random', '--config', 'none.py'], 'mmrot: error', 'none.py is neither a file nor'),
        (['random', 'one'], '2', 'one is not an integer of at least 1'),
    ],
)
def test_bad_calls_write_nothing(arguments, status, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('sys.argv', ['mmrot'])
    with pytest.raises(SystemExit, match=status) as exit_info:
        main(['eval', 'linear', *arguments])
    assert message in f'{exit_info.value.code}{capsys.readouterr().err}'
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('arguments', 'config', 'work_dir', 'gpus'),
    [
        (['random'], 'alexnet_linear_in1k', 'random', 1),
        (['random', '4', '--cfg-options', 'randomness.seed=3'], None, 'random_seed3', 4),
        (['my nin/epoch_1.pth', '2'], None, 'my nin_epoch_1', 2),
        (['my nin/epoch_1.pth', '--gpus', '2'], None, 'my nin_epoch_1', 2),
        (
            ['random', '1', 'benchmarks/classification/nin4_conv_cifar10.py'],
            'nin4_conv_cifar10',
            'random',
            1,
        ),
        (
            ['random', '--config', 'benchmarks/classification/nin4_conv_cifar10.py'],
            'nin4_conv_cifar10',
            'random',
            1,
        ),
    ],
)
def test_arguments_of_the_run(arguments, config, work_dir, gpus, tmp_path, monkeypatch):
    runs = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('sys.argv', ['mmrot'])
    monkeypatch.setattr('mmrot.cli.eval.launch', lambda args, *rest: runs.append(args) or True)
    save_nin(tmp_path / 'my nin/epoch_1.pth')
    main(['eval', 'linear', *arguments])
    (args,) = runs
    assert args.work_dir == f'work_dirs/{config or "alexnet_linear_in1k"}/{work_dir}'
    assert Path(args.config).stem == (config or 'alexnet_linear_in1k')
    assert (args.backbone, args.gpus) == (arguments[0], gpus)


@pytest.mark.slow
def test_semi_supervised_runs_every_k_in_two_processes(labelled_folder, tmp_path):
    checkpoint = tmp_path / 'my nin/epoch_1.pth'
    state = save_nin(checkpoint)
    arguments = [
        *('--labelled-folder', labelled_folder, '--cfg-options', *NARROW),
        'train_dataloader.dataset.epoch_length=30',
    ]
    run = call('semi_supervised', checkpoint, 1, *arguments, cwd=tmp_path)
    work_dir = tmp_path / 'work_dirs/nin4_semi_supervised_cifar10/my nin_epoch_1'
    assert run.returncode == 1
    assert 'num_per_class=5000, but class dark has 4 images' in run.stderr
    assert not list((work_dir / '5000per_class').glob('*.*'))  # nothing but logs

    option = 'train_dataloader.dataset.num_per_class=3'
    run = call('semi_supervised', checkpoint, 2, *arguments, option, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    (record,) = read_records(work_dir / 'table.json')
    assert record == read_records(work_dir / '3per_class')[0]
    assert list(record.values) == ['3']
    assert record.row == 'semi-supervised'
    assert (record.processes, record.samples_per_epoch, record.batch_size) == (2, 30, 12)
    assert (record.data, record.images) == ('three classes', 6)
    assert run.stdout.count('Training with few examples per category') == 2  # the run's, and all
    command = shlex.split(record.command)
    assert command[:4] == ['mmrot', 'eval', 'cifar10', str(checkpoint)]
    assert command[-2:] == ['--cfg-options', option]

    # another K joins the first one
    option = 'train_dataloader.dataset.num_per_class=2'
    run = call('semi_supervised', checkpoint, 1, *arguments, option, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert [list(r.values) for r in read_records(work_dir / 'table.json')] == [['2'], ['3']]
    trained = torch.load(work_dir / '3per_class/epoch_1.pth', weights_only=False)['state_dict']
    for key, value in trained.items():
        if key.startswith('backbone.'):
            assert torch.equal(value, state[key])


@pytest.mark.slow
def test_incomplete_checkpoint_is_an_error(labelled_folder, tmp_path):
    state = {key: value for key, value in NIN(4, 12).state_dict().items() if 'block1' in key}
    torch.save(state, tmp_path / 'half.pth')
    run = call(
        *('cifar10_eval', 'half.pth', 1, 'benchmarks/classification/nin4_conv_cifar10.py'),
        *('--labelled-folder', labelled_folder, '--work-dir', 'here', '--cfg-options', *NARROW),
        cwd=tmp_path,
    )
    assert run.returncode == 1
    assert 'half.pth lacks 18 of the 36 keys of NIN: block2.layer1' in run.stderr
    assert not list((tmp_path / 'here').glob('*.*'))
