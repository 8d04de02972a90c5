import pytest
import torch
from helpers import ROOT

import mmrot
from mmrot.cli import main
from mmrot.engine.hooks import ResultTableHook
from mmrot.models import NIN
from mmrot.results import read_records

TINY = [
    'train_dataloader.batch_size=6',
    'train_dataloader.num_workers=0',
    'val_dataloader.num_workers=0',
    'test_dataloader.num_workers=0',
    'train_cfg.max_epochs=2',
    'model.backbone.width=12',
    'model.head.probes.conv2.in_channels=12',
    'model.head.probes.conv2.width=12',
    'randomness.seed=3',
]
CONFIG = mmrot.config_path('benchmarks/classification/nin4_conv_cifar10.py')


@pytest.mark.parametrize(
    ('entry', 'message'),
    [
        (dict(table='table'), "table 'table': expected one of table1"),
        (
            dict(table='table3', columns=dict(top1='conv2')),
            'columns top1 of table3: expected accuracy',
        ),
    ],
)
def test_unknown_table_or_column_raises(entry, message):
    with pytest.raises(ValueError, match=message):
        ResultTableHook([dict(row='a', random_row='b', **entry)])


@pytest.mark.slow
def test_run_writes_and_prints_its_results(labelled_folder, tmp_path, run_tool, capsys):
    arguments = [
        CONFIG,
        '--work-dir',
        tmp_path,
        '--backbone',
        'random',
        '--labelled-folder',
        labelled_folder,
    ]
    run_tool('train', *arguments, '--cfg-options', *TINY)
    (record,) = read_records(tmp_path)
    assert (record.table, record.row) == ('table3', 'random init. + conv')
    assert (record.data, record.images, record.epochs) == ('three classes', 6, 2)
    assert (record.seed, record.batch_size, record.samples_per_epoch) == (3, 6, 12)
    assert record.command.startswith(str(ROOT / 'tools/train.py'))
    printed = capsys.readouterr().out
    assert '72.50' in printed  # the published one
    assert f'{record.values["accuracy"]:.2f}' in printed
    before = (tmp_path / 'results.json').read_text()

    # a second run would overwrite the first one
    with pytest.raises(SystemExit, match=r'results\.json is from an earlier run'):
        run_tool('train', *arguments, '--cfg-options', *TINY)
    # a finished run, resumed, shows its table again
    run_tool('train', *arguments, '--resume', '--cfg-options', *TINY)
    assert f'{record.values["accuracy"]:.2f}' in capsys.readouterr().out
    assert (tmp_path / 'results.json').read_text() == before

    # testing a checkpoint prints the table and leaves the results alone
    run_tool(
        'test',
        CONFIG,
        tmp_path / 'epoch_2.pth',
        '--labelled-folder',
        labelled_folder,
        '--work-dir',
        tmp_path,
        '--cfg-options',
        *TINY,
    )
    printed = capsys.readouterr().out.splitlines()
    value = f' {record.values["accuracy"]:.2f} '
    (row,) = (line for line in printed if value in line and '│' in line)
    assert 'random init. + conv' in row  # the checkpoint says what it is
    assert (tmp_path / 'results.json').read_text() == before

    # a run that was interrupted during its last validation is validated when it is resumed
    (tmp_path / 'results.json').unlink()
    with pytest.raises(SystemExit, match=r'epoch_\d+.pth is from an earlier run. Use --resume'):
        run_tool('train', *arguments, '--cfg-options', *TINY)
    run_tool('train', *arguments, '--resume', '--cfg-options', *TINY)
    (again,) = read_records(tmp_path)
    assert again.values == record.values

    # and cannot be resumed with another backbone
    state = {f'backbone.{k}': v for k, v in NIN(4, 12).state_dict().items()}
    torch.save({'state_dict': state}, tmp_path / 'other.pth')
    arguments[4] = tmp_path / 'other.pth'
    with pytest.raises(SystemExit, match=r'other\.pth: the training in .* started from random'):
        run_tool('train', *arguments, '--resume', '--cfg-options', *TINY)


OWN_NETWORK = """
_base_ = 'mmrot::benchmarks/classification/alexnet_linear_in1k.py'
model = dict(
    backbone=dict(_delete_=True, type='mmrot.NIN', num_blocks=3, width=12, out_indices=(0, 1)),
    head=dict(
        probes=dict(
            _delete_=True,
            first=dict(type='mmrot.LinearProbe', in_channels=6, pool_size=2),
            second=dict(type='mmrot.LinearProbe', in_channels=12, pool_size=2),
        )
    ),
)
train_dataloader = dict(batch_size=6, num_workers=0)
val_dataloader = test_dataloader = dict(batch_size=6, num_workers=0)
train_cfg = dict(max_epochs=1)
"""


def test_own_network_ends_with_its_own_table(labelled_folder, tmp_path, monkeypatch, capsys):
    (tmp_path / 'own_probe.py').write_text(OWN_NETWORK)
    monkeypatch.setattr('sys.argv', ['mmrot'])
    monkeypatch.chdir(tmp_path)
    main(
        [
            'eval',
            'linear',
            'random',
            '1',
            'own_probe.py',
            '--labelled-folder',
            labelled_folder.as_posix(),
        ]
    )
    (record,) = read_records(tmp_path / 'work_dirs/own_probe/random')
    assert (record.table, record.row) == ('own_probe.py', 'random')
    assert list(record.values) == ['first/top1', 'first/top5', 'second/top1', 'second/top5']
    printed = ' '.join(capsys.readouterr().out.split())
    assert (
        'own_probe.py: measured on three classes (6 images). Chance: 33.33 %, always the most '
        'frequent class: 33.33 %.' in printed
    )
    assert 'conv1' not in printed[printed.index('own_probe.py: measured') :]


def test_run_that_fails_a_check_writes_nothing(labelled_folder, tmp_path, run_tool):
    arguments = [CONFIG, '--work-dir', tmp_path, '--backbone', 'random']
    arguments += ['--labelled-folder', labelled_folder, '--cfg-options', *TINY]
    with pytest.raises(SystemExit, match='12 images in batches of 11 leave a last batch of one'):
        run_tool('train', *arguments, 'train_dataloader.batch_size=11')
    assert not list(tmp_path.glob('*.*'))
