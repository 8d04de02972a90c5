"""Every config: its recipe, and two iterations and a validation on tiny data."""

import math
import re
import subprocess
import sys

import pytest
import torch
from helpers import ROOT, logged, losses
from mmengine.config import Config
from mmengine.registry import MODELS
from torch.nn.modules.batchnorm import _BatchNorm

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


PRETRAINING = [name for name in mmrot.list_configs() if not name.startswith('benchmarks/')]
CONVS = ['conv1', 'conv2', 'conv3', 'conv4', 'conv5']
FEATURES = ['feature1', 'feature2', 'feature3', 'feature4', 'feature5']
# Stages, classes, and the schedule: images, lr, weight decay, milestones, gamma, epochs.
PROBES = {
    # the authors' released code
    'alexnet_linear_in1k': (CONVS, 1000, (192, 0.01, 5e-4, [5, 15, 25], 0.2, 35)),
    'alexnet_linear_places205': (CONVS, 205, (192, 0.01, 5e-4, [5, 15, 25], 0.2, 35)),
    'alexnet_nonlinear_in1k': (CONVS[3:], 1000, (192, 0.01, 5e-4, [10, 20, 30], 0.2, 40)),
    'nin3_nonlinear_cifar10': (CONVS[:3], 10, (128, 0.1, 5e-4, [20, 40, 45], 0.2, 50)),
    'nin4_nonlinear_cifar10': (CONVS[:4], 10, (128, 0.1, 5e-4, [20, 40, 45], 0.2, 50)),
    'nin5_nonlinear_cifar10': (CONVS, 10, (128, 0.1, 5e-4, [20, 40, 45], 0.2, 50)),
    'nin4_nonlinear_finetuned_cifar10': (['conv2'], 10, (128, 0.1, 5e-4, [20, 40, 45], 0.2, 50)),
    'nin4_conv_cifar10': (['conv2'], 10, (128, 0.1, 5e-4, [35, 70, 85], 0.2, 100)),
    'nin4_conv_finetuned_cifar10': (['conv2'], 10, (128, 0.1, 5e-4, [35, 70, 85], 0.2, 100)),
    'nin4_semi_supervised_cifar10': (['conv2'], 10, (128, 0.1, 5e-4, [35, 70, 85], 0.2, 100)),
    # section 3.1 of the paper
    'nin3_supervised_cifar10': (['conv2'], 10, (128, 0.1, 5e-4, [30, 60, 80], 0.2, 100)),
    'nin3_supervised_subset_cifar10': (['conv2'], 10, (128, 0.1, 5e-4, [30, 60, 80], 0.2, 100)),
    # MMSelfSup 0.x
    'resnet50_linear_8xb32_steplr_90e_in1k': (
        FEATURES,
        1000,
        (256, 0.01, 1e-4, [30, 60], 0.1, 90),
    ),
    'resnet50_linear_8xb32_steplr_28e_places205': (
        FEATURES,
        205,
        (256, 0.01, 1e-4, [7, 14, 21], 0.1, 28),
    ),
    'resnet50_linear_8xb32_steplr_84e_inat18': (
        FEATURES,
        8142,
        (256, 0.01, 1e-4, [24, 48, 72], 0.1, 84),
    ),
    'resnet50_avgpool_8xb32_steplr_100e_in1k': (
        ['avgpool'],
        1000,
        (256, 30.0, 0.0, [60, 80], 0.1, 100),
    ),
    'resnet50_avgpool_8xb32_steplr_28e_places205': (
        ['avgpool'],
        205,
        (256, 30.0, 0.0, [7, 14, 21], 0.1, 28),
    ),
    'resnet50_avgpool_8xb32_steplr_84e_inat18': (
        ['avgpool'],
        8142,
        (256, 30.0, 0.0, [24, 48, 72], 0.1, 84),
    ),
}
TRAINED_BACKBONES = {
    'nin4_nonlinear_finetuned_cifar10',
    'nin4_conv_finetuned_cifar10',
    'nin3_supervised_cifar10',
    'nin3_supervised_subset_cifar10',
}


def tiny(data_root, name: str) -> list[str]:
    """Options that point a config at the tiny data set in its layout."""
    options = list(SMALL)
    if 'subset' in name or 'semi' in name:
        options.remove('train_dataloader.dataset.indices=8')
        options += [
            'train_dataloader.dataset.epoch_length=8',
            'train_dataloader.dataset.num_per_class=2',
        ]
    for part, folder in (
        ('in1k', 'imagenet'),
        ('places205', 'places205'),
        ('inat18', 'inaturalist2018'),
        ('cifar10', 'cifar10'),
    ):
        if part in name:
            return [*options, f'data_root={data_root / folder}']
    return options


@pytest.mark.usefixtures('_any_cifar10')
@pytest.mark.parametrize('name', PRETRAINING)
def test_two_iterations_and_a_validation(name, data_root, tmp_path, run_tool):
    run_tool(
        'train',
        mmrot.config_path(name),
        '--work-dir',
        tmp_path,
        '--cfg-options',
        *tiny(data_root, name),
    )
    assert len(losses(tmp_path)) == 2
    # nothing is learned yet: the classifier starts near the uniform guess
    assert losses(tmp_path)[0] == pytest.approx(math.log(4), abs=0.3)
    assert 0 <= logged(tmp_path)[-1]['rotation/accuracy'] <= 100
    state = torch.load(tmp_path / 'epoch_1.pth', weights_only=False)['state_dict']
    assert all(torch.isfinite(value).all() for value in state.values())
    assert {key.partition('.')[0] for key in state} == {'backbone', 'head'}


def test_every_probe_config_is_listed():
    names = {
        name for name in mmrot.list_configs() if name.startswith('benchmarks/classification/')
    }
    names -= {name for name in names if name.endswith('_voc07.py')}  # no probes
    assert names == {f'benchmarks/classification/{name}.py' for name in PROBES}


@pytest.mark.usefixtures('_any_cifar10')
@pytest.mark.parametrize('name', PROBES)
def test_probes_train_and_validate(name, data_root, tmp_path, run_tool):
    stages, num_classes, _ = PROBES[name]
    run_tool(
        'train',
        mmrot.config_path(f'benchmarks/classification/{name}.py'),
        '--work-dir',
        tmp_path,
        '--backbone',
        'random',
        '--cfg-options',
        *tiny(data_root, name),
        'default_hooks.checkpoint.interval=-1',  # some are large
        'default_hooks.checkpoint.save_last=False',
        'default_hooks.checkpoint.save_best=None',
    )
    rows = logged(tmp_path)
    assert len(losses(tmp_path)) == 2
    for stage in stages:
        assert rows[0][f'{stage}.loss'] == pytest.approx(math.log(num_classes), rel=0.5)
        assert 0 <= rows[-1][f'{stage}/top1'] <= 100
        assert (f'{stage}/top5' in rows[-1]) == (num_classes > 10)
    assert rows[-1]['best/top1'] == max(rows[-1][f'{stage}/top1'] for stage in stages)
    layers = {stage: rows[-1][f'{stage}/top1'] for stage in stages}
    records = read_records(tmp_path)
    assert records
    for record in records:
        expected = {
            'figure5b': {'2': layers.get('conv2')},
            'table3': {'accuracy': layers.get('conv2')},
        }.get(record.table, layers)
        assert record.values == expected
        assert (record.images, record.samples_per_epoch, record.epochs) == (4, 8, 1)
        assert record.checkpoint == 'random'


@pytest.mark.parametrize('name', PROBES)
def test_probe_recipes(name):
    _, _, (images, lr, decay, milestones, gamma, epochs) = PROBES[name]
    cfg = Config.fromfile(mmrot.config_path(f'benchmarks/classification/{name}.py'))
    gpus = 8 if '8xb' in name else 1
    assert gpus * cfg.train_dataloader.batch_size == images
    assert cfg.auto_scale_lr == dict(enable=False, base_batch_size=images)
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (lr, 0.9, decay)
    step = cfg.param_scheduler
    assert (step.milestones, step.gamma, cfg.train_cfg.max_epochs) == (milestones, gamma, epochs)
    # a single crop without flips in testing
    pipeline = cfg.test_dataloader.dataset.pipeline
    assert [str(t.type).partition('.')[2] for t in pipeline][-3:] == [
        'ResizeEdge',
        'CenterCrop',
        'PackInputs',
    ]


@pytest.mark.usefixtures('_any_cifar10')
def test_probes_inherited_from_elsewhere(data_root, labelled_folder, tmp_path, run_tool):
    """By ``mmrot::`` every type is built in mmrot's scope."""
    for name in PROBES:
        path = tmp_path / f'own_{name}.py'
        path.write_text(f"_base_ = 'mmrot::benchmarks/classification/{name}.py'\n")
        assert Config.fromfile(path).data_preprocessor.type == 'mmpretrain.ClsDataPreprocessor'
    page = (ROOT / 'docs/probes.md').read_text()
    for block in re.findall(r'```python\n(.*?)```', page, re.DOTALL):
        path = tmp_path / 'page.py'
        path.write_text(block)
        work_dir = tmp_path / f'work{block.count("stage3")}'
        options = tiny(data_root, 'nin4' if 'nin4' in block else 'in1k')
        options = [option for option in options if '.indices=' not in option]
        run_tool(
            'train',
            path,
            *('--work-dir', work_dir, '--backbone', 'random'),
            *('--labelled-folder', labelled_folder, '--cfg-options', *options),
        )
        assert 0 <= logged(work_dir)[-1]['best/top1'] <= 100
    (record,) = read_records(tmp_path / 'work0')
    assert (record.table, list(record.values)) == ('table2', ['accuracy'])


@pytest.mark.parametrize('name', PROBES)
def test_what_trains_in_probe_configs(name):
    cfg = Config.fromfile(mmrot.config_path(f'benchmarks/classification/{name}.py'))
    cfg.model.head.num_classes = 2  # small
    model = MODELS.build(cfg.model).train()
    trains = name in TRAINED_BACKBONES
    assert all(p.requires_grad == trains for p in model.backbone.parameters())
    norms = [m for m in model.backbone.modules() if isinstance(m, _BatchNorm)]
    assert norms
    assert all(norm.training == trains for norm in norms)
    assert all(p.requires_grad for p in model.head.parameters())


@pytest.mark.slow
def test_photos_through_worker_processes(photo_folder, tmp_path):
    run = subprocess.run(
        [
            sys.executable,
            ROOT / 'tools/train.py',
            mmrot.config_path('rotnet/nin4_cifar10.py'),
            '--image-folder',
            photo_folder,
            '--work-dir',
            tmp_path,
            '--cfg-options',
            'train_dataloader.batch_size=11',
            'train_cfg.max_epochs=1',
            'default_hooks.logger.interval=1',
            'model.backbone.width=12',
            'model.head.in_channels=12',
        ],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert len(losses(tmp_path)) == 2
    assert 'rotation/accuracy' in logged(tmp_path)[-1]


@pytest.mark.usefixtures('_any_cifar10')
@pytest.mark.parametrize('angles', ['0,180', '90,270', '0,45,90,135,180,225,270,315'])
def test_angle_sets_of_table_2(angles, data_root, tmp_path, run_tool):
    name = 'rotnet/nin4_cifar10.py'
    options = [*tiny(data_root, name), f'model.angles={angles}']
    run_tool('train', mmrot.config_path(name), '--work-dir', tmp_path, '--cfg-options', *options)
    first, last = losses(tmp_path)[0], logged(tmp_path)[-1]
    assert first == pytest.approx(math.log(len(angles.split(','))), abs=0.3)
    assert {key for key in last if 'accuracy_' in key} == {
        f'rotation/accuracy_{angle}' for angle in angles.split(',')
    }


@pytest.mark.parametrize(
    ('name', 'images', 'lr', 'decay', 'milestones', 'gamma', 'epochs'),
    [
        # section 3.1 and 3.2 of the paper
        ('rotnet/nin3_cifar10.py', 128, 0.1, 5e-4, [30, 60, 80], 0.2, 100),
        ('rotnet/nin4_cifar10.py', 128, 0.1, 5e-4, [30, 60, 80], 0.2, 100),
        ('rotnet/nin5_cifar10.py', 128, 0.1, 5e-4, [30, 60, 80], 0.2, 100),
        ('rotnet_alexnet_in1k.py', 192, 0.01, 5e-4, [10, 20], 0.1, 30),
        ('rotnet/alexnet_in1k.py', 192, 0.01, 5e-4, [10, 20], 0.1, 30),
        ('rotnet/alexnet_places205.py', 192, 0.01, 5e-4, [10, 20], 0.1, 30),
        # the authors' released code
        ('rotnet/alexnet_50e_in1k.py', 192, 0.01, 5e-4, [15, 30, 45], 0.1, 50),
        # the ResNet-50 model page
        ('rotnet/resnet50_8xb16_steplr_70e_in1k.py', 128, 0.2, 1e-4, [30, 50], 0.1, 70),
    ],
)
def test_recipes(name, images, lr, decay, milestones, gamma, epochs):
    cfg = Config.fromfile(mmrot.config_path(name))
    gpus = 1 if 'cifar10' in name else 8
    assert gpus * cfg.train_dataloader.batch_size == images
    assert cfg.auto_scale_lr == dict(enable=False, base_batch_size=images)
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (lr, 0.9, decay)
    schedulers = cfg.param_scheduler
    step = schedulers[-1] if isinstance(schedulers, list) else schedulers
    assert (step.milestones, step.gamma, cfg.train_cfg.max_epochs) == (milestones, gamma, epochs)
    assert cfg.train_cfg.val_interval == 1


# mmengine divides the loss while dynamo looks at it
@pytest.mark.filterwarnings('ignore:The .grad attribute')
@pytest.mark.parametrize('wrapper', ['OptimWrapper', 'mmrot.BFloat16OptimWrapper'])
def test_compile_by_mmengines_field(tmp_path, run_tool, wrapper):
    """Dynamo traces a whole training step; the backend is the hardware's matter."""
    options = [
        *SMALL,
        'model.backbone.width=12',
        'model.head.in_channels=12',
        f'optim_wrapper.type={wrapper}',
    ]
    config = mmrot.config_path('rotnet/nin4_digits.py')
    for name, more in (('compiled', ['compile.backend=eager']), ('plain', [])):
        run_tool('train', config, '--work-dir', tmp_path / name, '--cfg-options', *options, *more)
    # bfloat16 has 8 binary digits
    tolerance = 1e-4 if wrapper == 'OptimWrapper' else 1e-2
    assert losses(tmp_path / 'compiled') == pytest.approx(losses(tmp_path / 'plain'), tolerance)
