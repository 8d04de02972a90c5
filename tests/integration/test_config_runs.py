"""Configs train for two iterations on tiny data in the layout of the real data."""

import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import ROOT, logged, losses, shipped, write_photo

import mmrot
from mmrot.results import read_records

SMALL = [
    'train_dataloader.batch_size=4',
    'val_dataloader.batch_size=3',
    'train_dataloader.num_workers=0',
    'val_dataloader.num_workers=0',
    'train_dataloader.dataset.indices=8',
    'val_dataloader.dataset.indices=4',
    'train_cfg.max_epochs=1',
    'default_hooks.logger.interval=1',
    'default_hooks.checkpoint.interval=1',
    'randomness.seed=0',
]
# nothing is written: some checkpoints are large
NO_CHECKPOINT = [
    'default_hooks.checkpoint.interval=-1',
    'default_hooks.checkpoint.save_last=False',
    'default_hooks.checkpoint.save_best=None',
]
NARROW_NIN = ['model.backbone.width=12', 'model.head.in_channels=12']
NARROW_ALEXNET = ['model.backbone.fc_channels=16', 'model.head.in_channels=16']
PRETRAINING = [
    name
    for name in mmrot.list_configs()
    if not name.startswith('benchmarks/') and name != 'rotnet/photos.py'
]
PROBES = [
    name
    for name in mmrot.list_configs()
    if name.startswith('benchmarks/classification/')
    and not name.endswith(('_voc07.py', '_photos.py'))
    and '_knn_' not in name
]
FOLDERS = {
    'in1k': 'imagenet',
    'places205': 'places205',
    'inat18': 'inaturalist2018',
    'cifar10': 'cifar10',
}
ALEXNET = 'rotnet/alexnet_in1k.py'


def mark_slow(names: list[str], quick: str) -> list:
    """Mark all but one as slow."""
    return [n if n == quick else pytest.param(n, marks=pytest.mark.slow) for n in names]


def tiny(data_root: Path, name: str) -> list[str]:
    """Return options that point a config at the tiny dataset in its layout."""
    options = list(SMALL)
    if 'subset' in name or 'semi' in name:
        options.remove('train_dataloader.dataset.indices=8')
        options += [
            'train_dataloader.dataset.epoch_length=8',
            'train_dataloader.dataset.num_per_class=2',
        ]
    if 'resnet50' in name and 'linear' not in name:  # those have windows for 224×224
        for loader, steps in (('train', {1: 'scale'}), ('val', {1: 'scale', 2: 'crop_size'})):
            options += [
                f'{loader}_dataloader.dataset.pipeline.{index}.{key}=64'
                for index, key in steps.items()
            ]
    for part, folder in FOLDERS.items():
        if part in name:
            options.append(f'data_root={data_root / folder}')
    return options


def train(run_tool, config, work_dir, *options, arguments=()) -> None:
    run_tool('train', config, '--work-dir', work_dir, *arguments, '--cfg-options', *options)


@pytest.mark.usefixtures('_any_cifar10')
@pytest.mark.parametrize('name', mark_slow(PRETRAINING, 'rotnet/nin4_cifar10.py'))
def test_pretraining_config_trains(name, data_root, tmp_path, run_tool):
    options = NARROW_NIN if 'nin' in name else NARROW_ALEXNET if 'alexnet' in name else []
    train(run_tool, mmrot.config_path(name), tmp_path, *tiny(data_root, name), *options)
    assert len(losses(tmp_path)) == 2
    # untrained: close to a uniform guess
    assert losses(tmp_path)[0] == pytest.approx(math.log(4), abs=0.3)
    assert 'rotation/accuracy' in logged(tmp_path)[-1]
    state = torch.load(tmp_path / 'epoch_1.pth', weights_only=False)['state_dict']
    assert all(torch.isfinite(value).all() for value in state.values())
    assert {key.partition('.')[0] for key in state} == {'backbone', 'head'}


@pytest.mark.parametrize('layout', mark_slow(['3 classes', 'no classes', 'a list'], 'no classes'))
def test_pretraining_on_imagenet_needs_no_labels(layout, tmp_path, run_tool):
    rng = np.random.default_rng(0)
    root = tmp_path / 'imagenet'
    for split in ('train', 'val'):
        for index in range(6):
            folder = f'n{index % 3}' if layout == '3 classes' else ''
            write_photo(root / split / folder / f'{index}.JPEG', rng)
    if layout == 'a list':
        (root / 'meta').mkdir()
        (root / 'meta/train.txt').write_text('0.JPEG\n3.JPEG\n4.JPEG\n5.JPEG\n')
    options = [option for option in SMALL if '.indices=' not in option]
    train(
        *(run_tool, mmrot.config_path(ALEXNET), tmp_path / 'work', *options),
        *(*NARROW_ALEXNET, f'data_root={root}', 'train_dataloader.batch_size=2'),
    )
    assert len(losses(tmp_path / 'work')) == (2 if layout == 'a list' else 3)


@pytest.mark.usefixtures('_any_cifar10')
@pytest.mark.parametrize(
    'name', mark_slow(PROBES, 'benchmarks/classification/nin4_nonlinear_cifar10.py')
)
def test_probe_config_trains_and_reports_its_table(name, data_root, tmp_path, run_tool):
    head = shipped(name).model.head
    num_classes = min(head.num_classes, 20)
    train(
        *(run_tool, mmrot.config_path(name), tmp_path, *tiny(data_root, name), *NO_CHECKPOINT),
        f'model.head.num_classes={num_classes}',
        arguments=('--backbone', 'random'),
    )
    rows = logged(tmp_path)
    assert len(losses(tmp_path)) == 2
    for stage in head.probes:
        # the classifiers of the released code start with large logits
        assert math.log(num_classes) / 2 < rows[0][f'{stage}.loss'] < 100
        assert (f'{stage}/top5' in rows[-1]) == (num_classes > 10)
    layers = {stage: rows[-1][f'{stage}/top1'] for stage in head.probes}
    assert rows[-1]['best/top1'] == max(layers.values())
    records = read_records(tmp_path)
    assert records
    for record in records:
        expected = {
            'figure5b': {'2': layers.get('conv2')},
            'table3': {'accuracy': layers.get('conv2')},
        }.get(record.table, layers)
        assert record.values == pytest.approx(expected, abs=1e-4)
        assert (record.images, record.samples_per_epoch, record.epochs) == (4, 8, 1)
        assert record.checkpoint == 'random'


@pytest.mark.slow
def test_probe_config_of_the_docs_trains(labelled_folder, tmp_path, run_tool):
    page = (ROOT / 'docs/probes.md').read_text()
    resnet, nin = re.findall(r'```python\n(_base_.*?)```', page, re.DOTALL)
    options = [option for option in SMALL if '.indices=' not in option]
    for name, block in (('resnet', resnet), ('nin', nin)):
        path = tmp_path / f'{name}.py'
        path.write_text(block)
        train(
            *(run_tool, path, tmp_path / name, *options, *NO_CHECKPOINT),
            arguments=('--backbone', 'random', '--labelled-folder', labelled_folder),
        )
        assert 'best/top1' in logged(tmp_path / name)[-1]
    (record,) = read_records(tmp_path / 'nin')
    assert (record.table, list(record.values)) == ('table2', ['accuracy'])
    (record,) = read_records(tmp_path / 'resnet')
    assert record.table == 'resnet.py'
    assert {'stage3/top1', 'stage4/top1'} <= set(record.values)


def test_hooks_listed_in_custom_hooks_replace_the_keyed_ones(labelled_folder, tmp_path, run_tool):
    """As in configs written for 0.1."""
    path = tmp_path / 'own.py'
    path.write_text(
        "_base_ = 'mmrot::benchmarks/classification/nin4_nonlinear_cifar10.py'\n"
        'custom_hooks = [\n'
        "    dict(type='mmrot.LoadBackboneHook', checkpoint=None),\n"
        "    dict(type='mmrot.ResultTableHook', tables=[\n"
        "        dict(table='table2', row='RotNet', columns=dict(accuracy='conv2'))]),\n"
        ']\n'
    )
    options = [option for option in SMALL if '.indices=' not in option]
    train(
        *(run_tool, path, tmp_path / 'work', *options, *NO_CHECKPOINT),
        arguments=('--backbone', 'random', '--labelled-folder', labelled_folder),
    )
    (record,) = read_records(tmp_path / 'work')
    assert (record.table, record.checkpoint) == ('table2', 'random')


@pytest.mark.slow
def test_photos_are_read_by_worker_processes(photo_folder, tmp_path):
    run = subprocess.run(
        [
            *(
                sys.executable,
                ROOT / 'tools/train.py',
                mmrot.config_path('rotnet/nin4_cifar10.py'),
            ),
            *('--image-folder', photo_folder, '--work-dir', tmp_path, '--cfg-options'),
            *('train_dataloader.batch_size=11', 'train_cfg.max_epochs=1'),
            *('default_hooks.logger.interval=1', *NARROW_NIN),
        ],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert len(losses(tmp_path)) == 2
    assert 'rotation/accuracy' in logged(tmp_path)[-1]


@pytest.mark.usefixtures('_any_cifar10')
@pytest.mark.parametrize(
    'angles', mark_slow(['0,180', '90,270', '0,45,90,135,180,225,270,315'], '0,180')
)
def test_angle_sets_of_table_2_train(angles, data_root, tmp_path, run_tool):
    name = 'rotnet/nin4_cifar10.py'
    options = [*tiny(data_root, name), *NARROW_NIN, f'model.angles={angles}']
    train(run_tool, mmrot.config_path(name), tmp_path, *options)
    first, last = losses(tmp_path)[0], logged(tmp_path)[-1]
    assert first == pytest.approx(math.log(len(angles.split(','))), abs=0.3)
    assert {key for key in last if 'accuracy_' in key} == {
        f'rotation/accuracy_{angle}' for angle in angles.split(',')
    }


# mmengine divides the loss while dynamo traces it
@pytest.mark.slow
@pytest.mark.filterwarnings('ignore:The .grad attribute')
@pytest.mark.parametrize('wrapper', ['OptimWrapper', 'mmrot.BFloat16OptimWrapper'])
def test_compiled_training_step_computes_the_same_losses(tmp_path, run_tool, wrapper):
    """Dynamo traces a whole training step; the eager backend stands for any compiler."""
    options = [*SMALL, *NARROW_NIN, f'optim_wrapper.type={wrapper}']
    config = mmrot.config_path('rotnet/nin4_digits.py')
    for name, more in (('compiled', ['compile.backend=eager']), ('plain', [])):
        train(run_tool, config, tmp_path / name, *options, *more)
    # bfloat16 has 8 significant bits
    tolerance = 1e-4 if wrapper == 'OptimWrapper' else 1e-2
    assert losses(tmp_path / 'compiled') == pytest.approx(losses(tmp_path / 'plain'), tolerance)


@pytest.mark.slow
def test_own_photos_are_pretrained_and_probed(photo_folder, labelled_folder, tmp_path, run_tool):
    options = [
        *('train_cfg.max_iters=2', 'train_cfg.val_interval=2', 'train_dataloader.batch_size=4'),
        *('train_dataloader.num_workers=0', 'val_dataloader.num_workers=0'),
        *('default_hooks.checkpoint.interval=2', 'default_hooks.logger.interval=1'),
    ]
    train(
        *(run_tool, mmrot.config_path('rotnet/photos.py'), tmp_path / 'pretrained', *options),
        arguments=('--image-folder', photo_folder, '--image-size', 32),
    )
    assert 'rotation/accuracy' in logged(tmp_path / 'pretrained')[-1]
    probe = mmrot.config_path('benchmarks/classification/resnet18_linear_photos.py')
    train(
        *(run_tool, probe, tmp_path / 'probe', *options),
        arguments=(
            *('--labelled-folder', labelled_folder, '--image-size', 32),
            *('--backbone', tmp_path / 'pretrained/iter_2.pth'),
        ),
    )
    (record,) = read_records(tmp_path / 'probe')
    assert {f'stage{stage}/top1' for stage in range(1, 5)} <= set(record.values)
    assert (record.iterations, record.epochs) == (2, None)
