"""docs/other_projects.md: its files, under the launchers that it names."""

import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from helpers import ROOT, logged
from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmpretrain.models import ResNet

import mmrot
from mmrot.models import AlexNet
from mmrot.weights.convert import convert_backbone

PAGE = (ROOT / 'docs/other_projects.md').read_text()
NO_VALIDATION = ['val_cfg=None', 'val_dataloader=None', 'val_evaluator=None']
EVERY_ITERATION = ['default_hooks.logger.interval=1', 'log_level=ERROR']


def file(name: str) -> str:
    """Return the code block that the page introduces by a file name."""
    match = re.search(rf'`{name}\.py`.*?```python\n(.*?)```', PAGE, re.DOTALL)
    assert match is not None
    return match[1]


def launch(host: str, config: Path, options: list[str], launcher: Path | None = None) -> Path:
    """Train under the unmodified launcher of a host, or another one."""
    pytest.importorskip(host)
    if launcher is None:
        launcher = Path(find_spec(host).submodule_search_locations[0]) / '.mim/tools/train.py'
    work_dir = config.with_suffix('')
    run = subprocess.run(
        [
            *(sys.executable, '-W', 'ignore', launcher, config, '--work-dir', work_dir),
            *('--cfg-options', *EVERY_ITERATION, *options),
        ],
        cwd=config.parent,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return work_dir


@pytest.fixture(scope='module')
def weights(tmp_path_factory) -> dict[str, Path]:
    """Backbones extracted from pretraining checkpoints, by their names on the page.

    ResNet-18 stands in for ResNet-50, and AlexNet is narrow.
    """
    folder = tmp_path_factory.mktemp('weights')
    files = {}
    for name, network in (('resnet50', ResNet(18)), ('alexnet', AlexNet(fc_channels=64))):
        torch.manual_seed(1)
        network.init_weights()
        state = {f'backbone.{key}': value for key, value in network.state_dict().items()}
        torch.save({'state_dict': {**state, 'head.fc.weight': torch.rand(4, 8)}}, folder / 'x.pth')
        style = 'mmdet' if name == 'resnet50' else 'mmrot'
        files[name] = convert_backbone(str(folder / 'x.pth'), str(folder / f'{name}.pth'), style)
    return files


def page_config(name: str, folder: Path, weights: dict[str, Path]) -> Path:
    """Write a file of the page unchanged, and the weights to the path it contains."""
    (folder / 'weights').mkdir(exist_ok=True)
    for network, path in weights.items():
        shutil.copy(path, folder / f'weights/{network}_rotnet.pth')
    path = folder / f'{name}.py'
    path.write_text(file(name))
    return path


def trained(work_dir: Path) -> dict[str, torch.Tensor]:
    (checkpoint,) = (path for path in work_dir.glob('*.pth'))
    return torch.load(checkpoint, weights_only=False)['state_dict']


def converted(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path)['state_dict']


CLASSIFIER = [
    *('train_dataloader.batch_size=4', 'train_dataloader.num_workers=0', *NO_VALIDATION),
    *('train_dataloader.persistent_workers=False', 'train_cfg.max_epochs=1'),
    'train_dataloader.dataset.indices=8',
]


@pytest.mark.slow
def test_mmpretrain_trains_resnet50_from_converted_weights(weights, data_root, tmp_path):
    config = page_config('classify', tmp_path, weights)
    root = f'train_dataloader.dataset.data_root={data_root / "imagenet"}'
    resnet18 = ['model.backbone.depth=18', 'model.head.in_channels=512']
    state = trained(launch('mmpretrain', config, [*CLASSIFIER, root, *resnet18]))
    source = converted(weights['resnet50'])
    # what is frozen is what was loaded, what trains started there
    for key in ('conv1.weight', 'layer1.1.conv2.weight'):
        assert torch.equal(state[f'backbone.{key}'], source[key])
    moved = state['backbone.layer4.0.conv1.weight'] - source['layer4.0.conv1.weight']
    assert 0 < moved.norm() < 0.1 * source['layer4.0.conv1.weight'].norm()


@pytest.mark.slow
@pytest.mark.parametrize(
    ('backbone', 'channels'),
    [
        ("dict(type='mmrot.AlexNet', fc_channels=64)", 64),
        ("dict(type='mmrot.NIN', num_blocks=3, width=12)", 12),
    ],
)
def test_mmpretrain_trains_backbones_of_mmrot(backbone, channels, data_root, tmp_path):
    path = tmp_path / 'own.py'
    path.write_text(
        file('classify').partition('model = ')[0]
        + f"""
model = dict(
    type='ImageClassifier',
    backbone={backbone},
    head=dict(type='LinearClsHead', num_classes=1000, in_channels={channels}),
"""
        + ("    neck=dict(type='GlobalAveragePooling'),\n" if 'NIN' in backbone else '')
        + ')\n'
    )
    root = f'train_dataloader.dataset.data_root={data_root / "imagenet"}'
    work_dir = launch('mmpretrain', path, [*CLASSIFIER, root])
    rows = [row['loss'] for row in logged(work_dir) if 'loss' in row]
    assert len(rows) == 2


def detection_options(boxes: Path) -> list[str]:
    content = json.loads((boxes / 'ann.json').read_text())
    content['categories'] = [dict(id=1, name='person')]
    (boxes / 'ann.json').write_text(json.dumps(content))
    dataset = 'train_dataloader.dataset'
    return [
        *(f'{dataset}.data_root={boxes}/', f'{dataset}.ann_file=ann.json'),
        f'{dataset}.data_prefix.img=',
        *(f'{dataset}.pipeline.2.scale=(96,96)', *NO_VALIDATION, 'train_cfg.max_epochs=1'),
        *('train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False'),
        'optim_wrapper.optimizer.lr=0.0001',
    ]


@pytest.mark.slow
def test_mmdet_trains_faster_rcnn_with_alexnet(weights, boxes):
    work_dir = launch(
        'mmdet', page_config('detect_alexnet', boxes, weights), detection_options(boxes)
    )
    assert len([row for row in logged(work_dir) if 'loss_cls' in row]) == 2
    start = converted(weights['alexnet'])['conv5.conv.weight']
    moved = trained(work_dir)['backbone.conv5.conv.weight'] - start
    assert 0 < moved.norm() < 0.05 * start.norm()


SEGMENTATION = [
    *('train_cfg.max_iters=2', 'default_hooks.checkpoint.interval=2'),
    *('train_dataloader.batch_size=2', 'train_dataloader.num_workers=0'),
    *(
        'model.data_preprocessor.size=(64,64)',
        'train_dataloader.dataset.pipeline.3.crop_size=(64,64)',
    ),
    *(
        'train_dataloader.dataset.pipeline.2.scale=(64,64)',
        'train_dataloader.dataset.ann_file=all.txt',
    ),
    *('train_dataloader.dataset.data_prefix.img_path=img',),
    *('train_dataloader.dataset.data_prefix.seg_map_path=ann',),
]


@pytest.mark.slow
@pytest.mark.parametrize('network', ['resnet50', 'alexnet'])
def test_mmseg_trains_encoder_decoder(network, weights, boxes):
    config = page_config('segment', boxes, weights)
    if network == 'alexnet':
        text = re.sub(
            r'backbone=dict\(.*?\n    \),',
            f"backbone=dict(type='mmrot.AlexNet', out_indices=(4,), frozen_stages=5, "
            f"init_cfg=dict(type='Pretrained', checkpoint='{weights['alexnet']}')),",
            config.read_text(),
            flags=re.DOTALL,
        )
        config.write_text(
            text.replace('in_channels=2048, in_index=3', 'in_channels=256, in_index=0')
        )
    (boxes / 'all.txt').write_text('0\n1\n2\n3\n')
    options = [*SEGMENTATION, f'train_dataloader.dataset.data_root={boxes}']
    options.append('model.decode_head.channels=32')
    if network == 'resnet50':
        options += ['model.backbone.depth=18', 'model.decode_head.in_channels=512']
    work_dir = launch('mmseg', config, options)
    rows = [row for row in logged(work_dir) if 'decode.loss_ce' in row]
    assert len(rows) == 2
    state, source = trained(work_dir), converted(weights[network])
    convs = [key for key in source if key.startswith('conv')]
    for key in ['conv1.weight'] if network == 'resnet50' else convs:
        assert torch.equal(state[f'backbone.{key}'], source[key])


PRETRAIN = [
    *('train_dataloader.batch_size=2', 'train_dataloader.num_workers=0'),
    *('val_dataloader.num_workers=0', 'train_dataloader.dataset.indices=4'),
    *('val_dataloader.dataset.indices=2', 'train_cfg.max_epochs=1'),
    *('default_hooks.logger.interval=1', 'default_hooks.checkpoint.save_best=None'),
]


@pytest.mark.slow
def test_pretraining_a_custom_backbone(data_root, tmp_path, run_tool):
    config = tmp_path / 'pretrain_convnext.py'
    config.write_text(file('pretrain_convnext'))
    options = [*PRETRAIN, f'data_root={data_root / "imagenet"}']
    run_tool('train', config, '--work-dir', tmp_path / 'work', '--cfg-options', *options)
    assert 'rotation/accuracy' in logged(tmp_path / 'work')[-1]


@pytest.mark.slow
def test_pretraining_a_backbone_of_mmdet_by_options(data_root, tmp_path, run_tool):
    pytest.importorskip('mmdet')
    command = re.search(r'--cfg-options \\\n((?: +model\.[^\n]*\n)+)', PAGE)[1]
    options = command.replace('\\', '').split()
    assert len(options) == 4
    config = mmrot.config_path('rotnet/resnet50_8xb16_steplr_70e_in1k.py')
    options += [*PRETRAIN, f'data_root={data_root / "imagenet"}']
    run_tool('train', config, '--work-dir', tmp_path, '--cfg-options', *options)
    assert 'rotation/accuracy' in logged(tmp_path)[-1]


@pytest.mark.slow
def test_pretraining_a_backbone_of_mmseg(data_root, tmp_path, run_tool):
    pytest.importorskip('mmseg')
    config = tmp_path / 'own.py'
    config.write_text(
        "_base_ = 'mmrot::rotnet/resnet50_8xb16_steplr_70e_in1k.py'\n"
        "model = dict(backbone=dict(_delete_=True, type='mmseg.ResNet', depth=18),\n"
        '             head=dict(in_channels=512))\n'
    )
    options = [*PRETRAIN, f'data_root={data_root / "imagenet"}']
    run_tool('train', config, '--work-dir', tmp_path / 'work', '--cfg-options', *options)
    assert 'rotation/accuracy' in logged(tmp_path / 'work')[-1]


PROJECT = [  # mmengine's own runner passes persistent_workers on
    *PRETRAIN,
    'train_dataloader.persistent_workers=False',
    'val_dataloader.persistent_workers=False',
]


@pytest.fixture(scope='module')
def project(data_root, tmp_path_factory) -> Path:
    """The files of the project on the page, with photos."""
    folder = tmp_path_factory.mktemp('project')
    for name in ('train', 'pretrain', 'pretrain_alexnet'):
        (folder / f'{name}.py').write_text(file(name))
    (folder / 'photos').symlink_to(data_root / 'imagenet')
    (folder / 'data').symlink_to(data_root)
    return folder


@pytest.fixture(scope='module')
def pretrained(project) -> Path:
    """A checkpoint of the project: a ResNet-18 pretrained under mmpretrain's launcher."""
    options = [*PROJECT, 'model.backbone.depth=18', 'model.head.in_channels=512']
    return launch('mmpretrain', project / 'pretrain.py', options, project / 'train.py')


@pytest.mark.slow
@pytest.mark.family
def test_project_pretrains_with_an_inherited_experiment(pretrained):
    rows = logged(pretrained)
    assert len([row for row in rows if 'loss' in row]) == 2
    assert 0 <= rows[-1]['rotation/accuracy'] <= 100
    assert trained(pretrained)['head.fc.weight'].shape == (4, 512)


@pytest.mark.slow
@pytest.mark.family
def test_project_pretrains_with_an_inherited_model(project):
    options = [*PROJECT, 'model.backbone.fc_channels=64', 'model.head.in_channels=64']
    config = project / 'pretrain_alexnet.py'
    work_dir = launch('mmpretrain', config, options, project / 'train.py')
    assert 'rotation/accuracy' in logged(work_dir)[-1]


def test_base_is_a_path_where_mmrot_is_not_imported_before(tmp_path, monkeypatch):
    (base,) = re.findall(r'`(_base_ = __import__.*?)`', PAGE)
    (tmp_path / 'own.py').write_text(base)
    monkeypatch.delitem(MODULE2PACKAGE, 'mmrot')
    assert Config.fromfile(tmp_path / 'own.py').model.backbone.type == 'mmrot.AlexNet'


@pytest.mark.slow
@pytest.mark.family
def test_project_fine_tunes_the_converted_backbone_in_mmdet(pretrained, boxes):
    pytest.importorskip('mmdet')
    checkpoint = pretrained / 'epoch_1.pth'
    weights = convert_backbone(str(checkpoint), str(boxes / 'resnet50_rotnet.pth'), 'mmdet')
    config = page_config('detect', boxes, {'resnet50': weights})
    options = [*detection_options(boxes), 'model.backbone.depth=18']
    options.append('model.neck.in_channels=[64,128,256,512]')
    work_dir = launch('mmdet', config, options)
    assert len([row for row in logged(work_dir) if 'loss_cls' in row]) == 2
    state, source = trained(work_dir), trained(pretrained)
    for key in ('backbone.conv1.weight', 'backbone.layer1.1.conv2.weight'):  # frozen
        assert torch.equal(state[key], source[key])
