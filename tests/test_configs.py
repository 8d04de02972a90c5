"""Recipes of the configs, what they train, and the commands in their docstrings."""

import ast
import re
import subprocess
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import ROOT, inheriting, shipped, skip_without_host
from mmengine.config import Config
from mmengine.registry import MODELS, TRANSFORMS
from torch.nn.modules.batchnorm import _BatchNorm

import mmrot

PROBE_FOLDER = 'benchmarks/classification'
# Entered a second time from the sources, as a check of the configs: images, learning rate,
# weight decay, milestones, gamma, epochs.
RECIPES = {
    # paper, sections 3.1 and 3.2
    'rotnet/nin3_cifar10': (128, 0.1, 5e-4, [30, 60, 80], 0.2, 100),
    'rotnet/nin4_cifar10': (128, 0.1, 5e-4, [30, 60, 80], 0.2, 100),
    'rotnet/nin5_cifar10': (128, 0.1, 5e-4, [30, 60, 80], 0.2, 100),
    'rotnet_alexnet_in1k': (192, 0.01, 5e-4, [10, 20], 0.1, 30),
    'rotnet/alexnet_in1k': (192, 0.01, 5e-4, [10, 20], 0.1, 30),
    'rotnet/alexnet_places205': (192, 0.01, 5e-4, [10, 20], 0.1, 30),
    # released code
    'rotnet/nin4_200e_cifar10': (128, 0.1, 5e-4, [60, 120, 160], 0.2, 200),
    'rotnet/alexnet_50e_places205': (192, 0.01, 5e-4, [15, 30, 45], 0.1, 50),
    f'{PROBE_FOLDER}/nin3_supervised_cifar10': (128, 0.1, 5e-4, [60, 120, 160], 0.2, 200),
    f'{PROBE_FOLDER}/nin3_supervised_subset_cifar10': (128, 0.1, 5e-4, [60, 120, 160], 0.2, 200),
    'rotnet/alexnet_50e_in1k': (192, 0.01, 5e-4, [15, 30, 45], 0.1, 50),
    f'{PROBE_FOLDER}/alexnet_linear_in1k': (192, 0.01, 5e-4, [5, 15, 25], 0.2, 35),
    f'{PROBE_FOLDER}/alexnet_linear_places205': (192, 0.01, 5e-4, [5, 15, 25], 0.2, 35),
    f'{PROBE_FOLDER}/alexnet_nonlinear_in1k': (192, 0.01, 5e-4, [10, 20, 30], 0.2, 40),
    f'{PROBE_FOLDER}/nin3_nonlinear_cifar10': (128, 0.1, 5e-4, [20, 40, 45], 0.2, 100),
    f'{PROBE_FOLDER}/nin4_nonlinear_cifar10': (128, 0.1, 5e-4, [20, 40, 45], 0.2, 100),
    f'{PROBE_FOLDER}/nin5_nonlinear_cifar10': (128, 0.1, 5e-4, [20, 40, 45], 0.2, 100),
    f'{PROBE_FOLDER}/nin4_nonlinear_finetuned_cifar10': (128, 0.1, 5e-4, [20, 40, 45], 0.2, 100),
    f'{PROBE_FOLDER}/nin4_conv_cifar10': (128, 0.1, 5e-4, [35, 70, 85], 0.2, 100),
    f'{PROBE_FOLDER}/nin4_conv_finetuned_cifar10': (128, 0.1, 5e-4, [35, 70, 85], 0.2, 100),
    f'{PROBE_FOLDER}/nin4_semi_supervised_cifar10': (128, 0.1, 5e-4, [35, 70, 85], 0.2, 100),
    # ResNet-50 model page
    'rotnet/resnet50_8xb16_steplr_70e_in1k': (128, 0.2, 1e-4, [30, 50], 0.1, 70),
    # MMSelfSup 0.x
    f'{PROBE_FOLDER}/resnet50_linear_8xb32_steplr_90e_in1k': (
        *(256, 0.01, 1e-4, [30, 60], 0.1, 90),
    ),
    f'{PROBE_FOLDER}/resnet50_linear_8xb32_steplr_28e_places205': (
        *(256, 0.01, 1e-4, [7, 14, 21], 0.1, 28),
    ),
    f'{PROBE_FOLDER}/resnet50_linear_8xb32_steplr_84e_inat18': (
        *(256, 0.01, 1e-4, [24, 48, 72], 0.1, 84),
    ),
    f'{PROBE_FOLDER}/resnet50_avgpool_8xb32_steplr_100e_in1k': (
        *(256, 30.0, 0.0, [60, 80], 0.1, 100),
    ),
    f'{PROBE_FOLDER}/resnet50_avgpool_8xb32_steplr_28e_places205': (
        *(256, 30.0, 0.0, [7, 14, 21], 0.1, 28),
    ),
    f'{PROBE_FOLDER}/resnet50_avgpool_8xb32_steplr_84e_inat18': (
        *(256, 30.0, 0.0, [24, 48, 72], 0.1, 84),
    ),
}
PROBES = [name for name in RECIPES if name.startswith(PROBE_FOLDER)]
CLASSES = {'in1k': 1000, 'places205': 205, 'inat18': 8142, 'cifar10': 10}
EVERY_CONFIG = sorted(path.relative_to(ROOT) for path in (ROOT / 'configs').rglob('*.py'))


def load(name: str) -> Config:
    return shipped(f'{name}.py')


def test_every_config_has_a_recipe():
    # those that count iterations are tested with their hosts, the others train nothing
    iterations = ('detection/', 'segmentation/', '_voc07.py', '_knn_', 'photos.py')
    names = {name for name in mmrot.list_configs() if not any(n in name for n in iterations)}
    assert names - {'rotnet/nin4_digits.py'} == {f'{name}.py' for name in RECIPES}


@pytest.mark.parametrize('name', RECIPES)
def test_config_follows_the_recipe_of_its_source(name):
    images, lr, decay, milestones, gamma, epochs = RECIPES[name]
    cfg = load(name)
    gpus = 8 if '8xb' in name or ('alexnet' in name and name not in PROBES) else 1
    assert gpus * cfg.train_dataloader.batch_size == images
    assert cfg.auto_scale_lr == dict(enable=False, base_batch_size=images)
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (lr, 0.9, decay)
    schedulers = cfg.param_scheduler
    step = schedulers[-1] if isinstance(schedulers, list) else schedulers
    assert (step.milestones, step.gamma, cfg.train_cfg.max_epochs) == (milestones, gamma, epochs)
    assert cfg.train_cfg.val_interval == 1
    # tested on a single crop without flips
    pipeline = cfg.test_dataloader.dataset.pipeline
    assert [step.type.partition('.')[2] for step in pipeline][-3:] == [
        *('ResizeEdge', 'CenterCrop', 'PackInputs')
    ]


@pytest.mark.parametrize('name', PROBES)
def test_probe_config_trains_the_probes_and_only_a_finetuned_backbone(name):
    cfg = load(name)
    assert cfg.model.head.num_classes == CLASSES[name.rpartition('_')[2]]
    cfg.model.head.num_classes = 2  # small
    model = MODELS.build(cfg.model).train()
    trains = 'finetuned' in name or 'supervised' in name.replace('semi_supervised', '')
    assert all(p.requires_grad == trains for p in model.backbone.parameters())
    norms = [m for m in model.backbone.modules() if isinstance(m, _BatchNorm)]
    assert norms
    assert all(norm.training == trains for norm in norms)
    assert all(p.requires_grad for p in model.head.parameters())


@torch.no_grad()
@pytest.mark.parametrize('data', ['in1k', 'places205'])
def test_linear_probes_of_alexnet_read_conv1_and_conv2_before_the_pools(data):
    cfg = load(f'{PROBE_FOLDER}/alexnet_linear_{data}')
    maps = MODELS.build(cfg.model.backbone).eval()(torch.rand(1, 3, 224, 224))
    sides = [tuple(values.shape[-2:]) for values in maps]
    assert sides == [(55, 55), (27, 27), (13, 13), (13, 13), (13, 13)]


@pytest.mark.parametrize(
    ('name', 'std'),
    [
        (f'{PROBE_FOLDER}/nin3_supervised_cifar10', (3 * 192) ** -0.5),  # PyTorch's default
        (f'{PROBE_FOLDER}/nin3_supervised_subset_cifar10', (3 * 192) ** -0.5),
        ('rotnet/nin4_cifar10', (3 * 192) ** -0.5),
        ('rotnet/alexnet_in1k', (3 * 4096) ** -0.5),
        (f'{PROBE_FOLDER}/resnet50_avgpool_8xb32_steplr_100e_in1k', 0.01),
    ],
)
def test_classifiers_start_as_in_their_source(name, std):
    cfg = load(name)
    torch.manual_seed(0)
    head = MODELS.build(dict(cfg.model.head, num_classes=100))
    head.init_weights()
    (fc,) = (layer for layer in head.modules() if isinstance(layer, torch.nn.Linear))
    assert fc.weight.std().item() == pytest.approx(std, rel=0.05)


@torch.no_grad()
def test_linear_probes_of_resnet50_use_the_windows_of_their_source():
    """Entered a second time: sides of the maps, kernel, stride, padding, sides after pooling."""
    head = MODELS.build(
        dict(load(f'{PROBE_FOLDER}/resnet50_linear_8xb32_steplr_90e_in1k').model.head)
    )
    rows = (*((112, 10, 10, 4, 12), (56, 16, 8, 0, 6), (28, 13, 5, 0, 4)), (14, 8, 3, 0, 3))
    rows = (*rows, (7, 6, 1, 0, 2))
    pools = [
        tuple(pool.values()) for pool in load(f'{PROBE_FOLDER}/resnet50_svm_voc07').pools.values()
    ]
    assert pools == [row[1:4] for row in rows]
    for probe, (side, *window, pooled) in zip(head.probes.values(), rows, strict=True):
        image = torch.rand(1, 1, side, side)
        assert torch.equal(probe.pool(image), torch.nn.functional.avg_pool2d(image, *window))
        assert probe.pool(image).shape[-1] == pooled


def test_resnet50_pretraining_starts_at_a_tenth_of_the_learning_rate():
    warmup = load('rotnet/resnet50_8xb16_steplr_70e_in1k').param_scheduler[0]
    assert (warmup.start_factor, warmup.begin, warmup.end) == (0.1, 0, 5)


@pytest.mark.parametrize(
    'name',
    [
        'rotnet/resnet50_8xb16_steplr_70e_in1k',
        # for the baseline with random weights
        *(n.removesuffix('.py') for n in mmrot.list_configs() if f'{PROBE_FOLDER}/resnet' in n),
    ],
)
def test_residual_branches_of_a_random_resnet_are_not_zero(name):
    backbone = MODELS.build(load(name).model.backbone)
    backbone.init_weights()
    block = backbone.layer1[0]
    last = block.norm3 if hasattr(block, 'norm3') else block.norm2
    assert set(last.weight.tolist()) == {1.0}


OF_PHOTOS = [
    name
    for name in mmrot.list_configs()
    if re.search('in1k|places205|inat18|photos|svm_voc07|low_shot_voc07', name)
]


@pytest.mark.parametrize('name', OF_PHOTOS)
def test_photos_are_resized_with_antialiasing(name):
    """A fine checkerboard becomes grey; without antialiasing it would stay coarse."""
    board = np.kron(np.indices((545, 545)).sum(0) % 2, np.ones((2, 2))) * 255  # (1090, 1090)
    board = np.repeat(board[..., None], 3, axis=2).astype(np.uint8)
    cfg = shipped(name)
    steps = [
        step
        for field in ('train_dataloader', 'test_dataloader')
        if cfg.get(field)
        for step in cfg[field].dataset.pipeline
        if 'Resize' in step.type
    ]
    assert steps
    for step in steps:
        if 'RandomResizedCrop' in step.type:
            step = {**step, 'crop_ratio_range': (1.0, 1.0)}  # the whole image
        contrast = {}
        for backend in (step['backend'], 'cv2'):
            resize = TRANSFORMS.build({**step, 'backend': backend, 'interpolation': 'bilinear'})
            out = resize(dict(img=board, img_shape=board.shape[:2]))['img']
            contrast[backend] = out[8:-8, 8:-8].std()
        assert contrast.pop('cv2') > 80  # does not antialias
        assert contrast.popitem()[1] < 40  # 128 in the original


def test_probes_of_resnet50_on_places205_have_the_crops_of_their_source():
    cfg = load(f'{PROBE_FOLDER}/resnet50_linear_8xb32_steplr_28e_places205')
    steps = cfg.train_dataloader.dataset.pipeline[1:4]
    kinds = [
        (step.type.rpartition('.')[2], step.get('scale'), step.get('crop_size')) for step in steps
    ]
    assert kinds == [
        ('ResizeEdge', 256, None),
        ('CenterCrop', None, 256),
        ('RandomCrop', None, 224),
    ]


@pytest.mark.parametrize('name', ['rotnet/alexnet_places205', 'rotnet/alexnet_50e_places205'])
def test_alexnet_is_pretrained_on_resized_crops_of_places205(name):
    steps = load(name).train_dataloader.dataset.pipeline
    assert [step.type.rpartition('.')[2] for step in steps[1:3]] == [
        'RandomResizedCrop',
        'RandomFlip',
    ]


@pytest.mark.parametrize(
    'name',
    [
        'benchmarks/classification/alexnet_fc6_8_voc07.py',
        'benchmarks/classification/alexnet_all_voc07.py',
        'benchmarks/detection/faster_rcnn_alexnet_voc07.py',
        'benchmarks/detection/fast_rcnn_alexnet_voc07.py',
        'benchmarks/segmentation/fcn32s_alexnet_voc12.py',
    ],
)
def test_experiments_of_table_7_rescale_on_80_images(name):
    skip_without_host(name)
    assert shipped(name).default_hooks.load_backbone.rescale == 80


@pytest.mark.parametrize('name', PROBES)
def test_inherited_probe_config_names_the_scope_of_its_preprocessor(name):
    cfg = Config.fromfile(inheriting(f'{name}.py'))
    assert cfg.data_preprocessor.type == 'mmpretrain.ClsDataPreprocessor'


@pytest.mark.parametrize('path', EVERY_CONFIG, ids=str)
def test_docstring_with_a_backslash_is_raw(path):
    source = (ROOT / path).read_text()
    assert not re.findall(r'\\\\$', source, re.MULTILINE)
    assert '\\' not in source or source.startswith('r"""')


@pytest.mark.parametrize('name', mmrot.list_configs())
def test_docstring_has_a_command_that_names_existing_files(name):
    docstring = ast.get_docstring(
        ast.parse(Path(mmrot.config_path(name)).read_text()), clean=False
    )
    (block,) = re.findall(r'(?:^    .*\n)+', docstring, re.MULTILINE)
    command = textwrap.dedent(block).replace('\\\n', '')
    subprocess.run(['bash', '-n'], input=command, text=True, check=True)
    files = re.findall(r'(?:configs|tools)/[\w/.-]+', command)
    assert files
    for file in files:
        assert (ROOT / file).is_file(), file
    # a script without a config runs its default
    assert f'configs/{name}' in files or command.rstrip().endswith('PRETRAINED.pth')


def test_photo_probes_start_near_the_loss_of_chance():
    """Also with few classes, for which the default weights would be large."""
    cfg = shipped(f'{PROBE_FOLDER}/resnet18_linear_photos.py')
    torch.manual_seed(0)
    for probe in cfg.model.head.probes.values():
        probe = MODELS.build({**probe, 'num_classes': 20})
        probe.init_weights()
        maps = torch.randn(64, probe.bn.num_features, 24, 24)
        loss = torch.nn.functional.cross_entropy(probe(maps), torch.arange(64) % 20)
        assert loss < 1.2 * np.log(20)
