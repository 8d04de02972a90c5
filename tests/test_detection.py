"""Detection with AlexNet: where fc6 and fc7 go, and training on a tiny VOC."""

import re
from pathlib import Path

import cv2
import mmengine
import numpy as np
import pytest
import torch
from conftest import logged
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

import mmrot
from mmrot.converters import absorb_bn
from mmrot.hooks.load_backbone_hook import load_backbone, load_module
from mmrot.models import AlexNet

pytest.importorskip('mmdet')
CONFIG = mmrot.config_path('benchmarks/detection/faster_rcnn_alexnet_voc07.py')
FAST = mmrot.config_path('benchmarks/detection/fast_rcnn_alexnet_voc07.py')
XML = """<annotation><folder>VOC2007</folder><filename>{name}.jpg</filename>
<size><width>128</width><height>96</height><depth>3</depth></size>
<object><name>{label}</name><difficult>0</difficult><bndbox>
<xmin>{x}</xmin><ymin>{y}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object></annotation>"""


@pytest.fixture(scope='module')
def voc(tmp_path_factory) -> Path:
    """VOC 2007 in its layout: 4 images to train on, 2 to test on, a bright square on each."""
    root = tmp_path_factory.mktemp('VOCdevkit')
    rng = np.random.default_rng(0)
    for folder in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (root / 'VOC2007' / folder).mkdir(parents=True)
    for split, indices in (('trainval', range(4)), ('test', range(4, 6))):
        names = [f'{index:06d}' for index in indices]
        (root / f'VOC2007/ImageSets/Main/{split}.txt').write_text('\n'.join(names) + '\n')
        for name in names:
            image = rng.integers(0, 60, (96, 128, 3), dtype=np.uint8)
            x, y = (int(v) for v in rng.integers(5, 40, 2))
            image[y : y + 45, x : x + 45] = 240
            cv2.imwrite(str(root / f'VOC2007/JPEGImages/{name}.jpg'), image)
            xml = XML.format(name=name, label='dog', x=x, y=y, x2=x + 45, y2=y + 45)
            (root / f'VOC2007/Annotations/{name}.xml').write_text(xml)
    return root


@pytest.fixture(scope='module')
def pretrained(tmp_path_factory) -> tuple[AlexNet, Path]:
    """An AlexNet with batch norm, and the file of it that detection takes."""
    torch.manual_seed(0)
    network = AlexNet(out_indices=(5, 7))
    network.init_weights()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias)
            module.running_mean.normal_()
    path = tmp_path_factory.mktemp('weights') / 'absorbed.pth'
    torch.save({'state_dict': absorb_bn(network.state_dict())}, path)
    return network.eval(), path


@torch.no_grad()
def test_shared_layers_are_fc6_and_fc7(pretrained):
    """On a 6x6 map the box head's layers compute what the source network does."""
    network, path = pretrained
    cfg = Config.fromfile(CONFIG)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
    state = torch.load(path)['state_dict']
    load_backbone(model.backbone, state, 'file')
    for source, target in cfg.custom_hooks[0].elsewhere.items():
        load_module(model.get_submodule(target), state, source, 'file')
    head = model.roi_head.bbox_head
    # values that differ everywhere, so that another order of flattening shows
    maps = torch.randn(3, 256, 6, 6)
    x = maps.flatten(1)
    for fc in head.shared_fcs:
        x = head.relu(fc(x))
    with_bn = network.fc7(network.fc6(maps.flatten(1)))
    torch.testing.assert_close(x, with_bn, rtol=1e-4, atol=1e-4)
    absorbed = AlexNet(norm_cfg=None).eval()
    absorbed.load_state_dict(state)
    torch.testing.assert_close(x, absorbed.fc7(absorbed.fc6(maps.flatten(1))))
    assert x.std() > 0
    # the head as a whole goes through them: scores and boxes of fc_cls and fc_reg
    scores, boxes = head(maps)
    torch.testing.assert_close(scores, head.fc_cls(x))
    assert boxes.shape == (3, 20 * 4)


def test_two_iterations_and_a_test(voc, pretrained, tmp_path, run_tool):
    options = [
        *(f'data_root={voc}/', 'train_cfg.max_iters=2', 'train_cfg.val_interval=2'),
        'train_dataloader.dataset.pipeline.2.scales=[(200,96),(200,128)]',
        *('train_dataloader.num_workers=0', 'val_dataloader.num_workers=0'),
        *('default_hooks.logger.interval=1', 'default_hooks.checkpoint.interval=2'),
        'val_dataloader.dataset.pipeline.1.scale=(200,96)',
        'test_dataloader.num_workers=0',
    ]
    arguments = [CONFIG, '--work-dir', tmp_path, '--backbone', pretrained[1]]
    run_tool('train', *arguments, '--cfg-options', *options)
    rows = [row for row in logged(tmp_path) if 'loss_rpn_cls' in row]
    assert len(rows) == 2
    assert all(0 < row['loss_cls'] < 30 for row in rows)
    assert 0 <= logged(tmp_path)[-1]['pascal_voc/mAP'] <= 1
    source = torch.load(pretrained[1])['state_dict']
    trained = torch.load(tmp_path / 'iter_2.pth', weights_only=False)['state_dict']
    assert torch.equal(trained['backbone.conv1.conv.weight'], source['conv1.conv.weight'])
    for key, name in (
        ('roi_head.bbox_head.shared_fcs.0.weight', 'fc6.fc.weight'),
        ('roi_head.bbox_head.shared_fcs.1.weight', 'fc7.fc.weight'),
        ('backbone.conv5.conv.weight', 'conv5.conv.weight'),
    ):
        moved = (trained[key] - source[name]).norm() / source[name].norm()
        assert 0 < moved < 0.05, key


@pytest.fixture(scope='module')
def proposals(voc) -> Path:
    """Boxes for each image of the tiny VOC: its object among others."""
    for split in ('trainval', 'test'):
        content = {}
        for name in (voc / f'VOC2007/ImageSets/Main/{split}.txt').read_text().split():
            xml = (voc / f'VOC2007/Annotations/{name}.xml').read_text()
            x, y = (int(re.search(f'<{key}>(\\d+)', xml)[1]) for key in ('xmin', 'ymin'))
            boxes = [[x, y, x + 44, y + 46], [0, 0, 30, 30], [0, 0, 128, 96], [70, 50, 120, 90]]
            content[f'JPEGImages/{name}.jpg'] = dict(
                bboxes=np.array(boxes, np.float32), scores=np.ones(4, np.float32)
            )
        mmengine.dump(content, voc / f'proposals/voc07_{split}.pkl')
    return voc


def test_fast_rcnn_on_proposals(proposals, pretrained, tmp_path, run_tool):
    options = [
        *(f'data_root={proposals}/', 'train_cfg.max_iters=2', 'train_cfg.val_interval=2'),
        'train_dataloader.dataset.pipeline.3.transforms.0.scales=[(200,96),(200,128)]',
        'val_dataloader.dataset.pipeline.2.transforms.0.scale=(200,96)',
        *('train_dataloader.num_workers=0', 'val_dataloader.num_workers=0'),
        *('default_hooks.logger.interval=1', 'default_hooks.checkpoint.interval=9'),
        'default_hooks.checkpoint.save_best=None',
        'model.roi_head.bbox_roi_extractor.roi_layer.type=RoIAlign',  # RoIPool needs a GPU
    ]
    arguments = [FAST, '--work-dir', tmp_path, '--backbone', pretrained[1]]
    run_tool('train', *arguments, '--cfg-options', *options)
    rows = [row for row in logged(tmp_path) if 'loss_cls' in row]
    assert len(rows) == 2
    assert not any('rpn' in key for key in rows[0])
    assert 0 <= logged(tmp_path)[-1]['pascal_voc/mAP'] <= 1

    file = proposals / 'proposals/voc07_trainval.pkl'
    content = mmengine.load(file)
    mmengine.dump({key: content[key] for key in list(content)[:-1]}, tmp_path / 'fewer.pkl')
    option = f'train_dataloader.dataset.proposal_file={tmp_path / "fewer.pkl"}'
    with pytest.raises(SystemExit, match='error'):
        run_tool('train', *arguments, '--cfg-options', *options, option)


def test_batch_norm_that_was_not_absorbed(voc, pretrained, tmp_path, run_tool):
    torch.save(pretrained[0].state_dict(), tmp_path / 'with_bn.pth')
    with pytest.raises(
        SystemExit, match=r'no place for .*conv1\.bn.*tools/convert\.py absorb-bn\?'
    ):
        run_tool(
            'train',
            *(CONFIG, '--work-dir', tmp_path / 'work', '--backbone', tmp_path / 'with_bn.pth'),
            *('--cfg-options', f'data_root={voc}/', 'train_dataloader.num_workers=0'),
        )


def test_fc6_of_another_size(pretrained):
    state = dict(torch.load(pretrained[1])['state_dict'])
    state['fc6.fc.weight'] = torch.rand(512, 9216)
    target = torch.nn.Linear(9216, 4096)
    with pytest.raises(
        ValueError, match=r'file, fc6\.fc: fc6\.fc\.weight has \(512, 9216\), expected'
    ):
        load_module(target, state, 'fc6.fc', 'file')
    with pytest.raises(ValueError, match=r'fc9: fc9\.weight is missing; fc9\.bias is missing'):
        load_module(target, state, 'fc9', 'file')
