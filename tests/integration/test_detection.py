"""Detection on tiny versions of VOC and COCO with mmdet."""

import re
import shutil
from pathlib import Path

import mmengine
import numpy as np
import pytest
import torch
from helpers import inheriting, logged
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mmrot.datasets.proposals import read_proposals, save_proposals
from mmrot.models import AlexNet
from mmrot.results import published_table, read_records
from mmrot.weights import absorb_bn, fold_std, random_rescaled, rescale
from mmrot.weights.images import read_images
from mmrot.weights.state_dict import load_backbone, load_module

pytest.importorskip('mmdet')
from mmdet.datasets import CocoDataset

COCO_CLASSES = CocoDataset.METAINFO['classes']
CONFIG = inheriting('benchmarks/detection/faster_rcnn_alexnet_voc07.py')
ALEXNET = 'mmrot.AlexNet'
# where layers of AlexNet go in the detector
PLACES = {
    'roi_head.bbox_head.shared_fcs.0.weight': 'fc6.fc.weight',
    'roi_head.bbox_head.shared_fcs.1.weight': 'fc7.fc.weight',
    'backbone.conv5.conv.weight': 'conv5.conv.weight',
}
C4 = inheriting('benchmarks/detection/faster_rcnn_r50_c4_24k_voc0712.py')
MASK = inheriting('benchmarks/detection/mask_rcnn_r50_fpn_1x_coco.py')
FAST = inheriting('benchmarks/detection/fast_rcnn_alexnet_voc07.py')


@pytest.fixture(scope='module')
def pretrained(tmp_path_factory) -> tuple[AlexNet, Path]:
    """An AlexNet with batch norm, and a file of its weights with batch norm absorbed."""
    torch.manual_seed(0)
    network = AlexNet(out_indices=(5, 7), fc_channels=64)
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
def test_faster_rcnn_shared_layers_are_fc6_and_fc7(pretrained):
    """On a 6x6 map the box head's layers compute the same as the source network."""
    network, path = pretrained
    cfg = Config.fromfile(CONFIG)
    assert cfg.model.roi_head.bbox_head.fc_out_channels == 4096
    cfg.model.roi_head.bbox_head.fc_out_channels = 64  # as in pretrained
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model).eval()
    state = torch.load(path)['state_dict']
    load_backbone(model.backbone, state, 'file')
    for source, target in cfg.default_hooks.load_backbone.extra_modules.items():
        load_module(model.get_submodule(target), state, source, 'file')
    head = model.roi_head.bbox_head
    # values that differ everywhere, so that another order of flattening shows
    maps = torch.randn(3, 256, 6, 6)
    x = maps.flatten(1)
    for fc in head.shared_fcs:
        x = head.relu(fc(x))
    with_bn = network.fc7(network.fc6(maps.flatten(1)))
    torch.testing.assert_close(x, with_bn, rtol=1e-4, atol=1e-4)
    absorbed = AlexNet(norm_cfg=None, fc_channels=64).eval()
    absorbed.load_state_dict(state)
    torch.testing.assert_close(x, absorbed.fc7(absorbed.fc6(maps.flatten(1))))
    assert x.std() > 0
    # the head as a whole goes through them: scores and boxes of fc_cls and fc_reg
    dropped = (head.train().relu(torch.ones(1000)) == 0).double().mean()
    assert 0.4 < dropped < 0.6  # in training half of them
    head.eval()
    scores, boxes = head(maps)
    torch.testing.assert_close(scores, head.fc_cls(x))
    assert boxes.shape == (3, 20 * 4)


TINY = [
    *('train_cfg.max_iters=2', 'train_cfg.val_interval=2'),
    *('train_dataloader.num_workers=0', 'val_dataloader.num_workers=0'),
    *('test_dataloader.num_workers=0', 'default_hooks.logger.interval=1'),
]
SMALL = [
    'model.roi_head.bbox_head.fc_out_channels=64',
    'train_dataloader.dataset.pipeline.2.scales=[(200,96),(200,128)]',
    'val_dataloader.dataset.pipeline.1.scale=(200,96)',
]


def trained_weights(work_dir: Path) -> dict[str, torch.Tensor]:
    return torch.load(work_dir / 'iter_2.pth', weights_only=False)['state_dict']


@pytest.mark.slow
def test_faster_rcnn_trains_and_records_tables_7_and_8(voc, pretrained, tmp_path, run_tool):
    """Weights that are absorbed already and not rescaled are the initial weights."""
    options = [f'data_root={voc}/', 'default_hooks.load_backbone.rescale=0', *TINY, *SMALL]
    arguments = [CONFIG, '--work-dir', tmp_path, '--backbone', pretrained[1]]
    run_tool('train', *arguments, '--cfg-options', *options)
    rows = [row for row in logged(tmp_path) if 'loss_rpn_cls' in row]
    assert len(rows) == 2
    assert all(0 < row['loss_cls'] < 30 for row in rows)
    source = fold_std(torch.load(pretrained[1])['state_dict'])
    trained = trained_weights(tmp_path)
    assert torch.equal(trained['backbone.conv1.conv.weight'], source['conv1.conv.weight'])
    for key, name in PLACES.items():
        moved = (trained[key] - source[name]).norm() / source[name].norm()
        assert 0 < moved < 0.05, key

    metrics = logged(tmp_path)[-1]
    table7, table8 = read_records(tmp_path)
    assert (table7.table, table7.row) == ('table7', 'RotNet, Faster R-CNN')
    assert (table7.data, table7.images) == (f'{voc.name}/VOC2007 test', 2)
    assert table7.values == {'detection': pytest.approx(metrics['pascal_voc/mAP'] * 100)}
    # the two images show nothing but a dog each
    assert table8.values == {'dog': pytest.approx(metrics['pascal_voc/AP50/dog'] * 100)}
    assert metrics['pascal_voc/AP50/dog'] == metrics['pascal_voc/mAP']
    assert (table7.iterations, table7.epochs, table7.batch_size) == (2, None, 2)


@pytest.mark.slow
def test_faster_rcnn_absorbs_batch_norm_and_rescales_weights(voc, pretrained, tmp_path, run_tool):
    network, absorbed = pretrained
    torch.save(network.state_dict(), tmp_path / 'with_bn.pth')
    options = [f'data_root={voc}/', *TINY, *SMALL]
    arguments = [CONFIG, '--work-dir', tmp_path / 'work', '--backbone', tmp_path / 'with_bn.pth']
    run_tool('train', *arguments, '--cfg-options', *options)
    trained, source = trained_weights(tmp_path / 'work'), torch.load(absorbed)['state_dict']
    photos = sorted(str(path) for path in voc.glob('VOC2007/JPEGImages/00000[0-3].jpg'))
    expected = rescale(fold_std(source), read_images(photos, ALEXNET, raw_pixels=True))
    assert not torch.allclose(expected['conv1.conv.weight'], source['conv1.conv.weight'])
    weight = trained['backbone.conv1.conv.weight']  # frozen in training
    torch.testing.assert_close(weight, expected['conv1.conv.weight'])
    for key, name in PLACES.items():
        moved = (trained[key] - expected[name]).norm() / expected[name].norm()
        assert 0 < moved < 0.05, key


@pytest.mark.slow
def test_faster_rcnn_random_rescaled_starts_from_data(voc, tmp_path, run_tool):
    """The random baseline has PyTorch's weights, the rescaled one normalised Gaussian ones."""
    conv1 = {}
    for name in ('random', 'random-rescaled'):
        arguments = [CONFIG, '--work-dir', tmp_path / name, '--backbone', name]
        options = [f'data_root={voc}/', 'randomness.seed=4', *TINY, *SMALL]
        run_tool('train', *arguments, '--cfg-options', *options)
        conv1[name] = trained_weights(tmp_path / name)['backbone.conv1.conv.weight']
        row = read_records(tmp_path / name)[0].row
        assert row == f'{name.replace("-", " ")}, Faster R-CNN'
    assert conv1['random'].abs().max() <= 1 / 363**0.5
    photos = sorted(str(path) for path in voc.glob('VOC2007/JPEGImages/00000[0-3].jpg'))
    shapes = AlexNet(norm_cfg=None, fc_channels=64).state_dict()
    expected = random_rescaled(shapes, read_images(photos, ALEXNET, raw_pixels=True), seed=4)
    torch.testing.assert_close(conv1['random-rescaled'], expected['conv1.conv.weight'])


def test_faster_rcnn_random_rescaled_without_rescaling_is_an_error(voc, tmp_path, run_tool):
    arguments = [CONFIG, '--work-dir', tmp_path, '--backbone', 'random-rescaled']
    with pytest.raises(SystemExit, match=r"does not rescale, expected 'random'"):
        run_tool(
            *('train', *arguments, '--cfg-options', f'data_root={voc}/'),
            *('default_hooks.load_backbone.rescale=0', *TINY, *SMALL),
        )


@pytest.fixture(scope='module')
def proposals(voc) -> Path:
    """Proposals for each image of the tiny VOC, its object among others."""
    for split in ('trainval', 'test'):
        content = {}
        for name in (voc / f'VOC2007/ImageSets/Main/{split}.txt').read_text().split():
            xml = (voc / f'VOC2007/Annotations/{name}.xml').read_text()
            x, y = (int(re.search(f'<{key}>(\\d+)', xml)[1]) for key in ('xmin', 'ymin'))
            boxes = [[x, y, x + 44, y + 46], [0, 0, 30, 30], [0, 0, 128, 96], [70, 50, 120, 90]]
            content[f'JPEGImages/{name}.jpg'] = dict(
                bboxes=np.array(boxes, np.float32), scores=np.ones(4, np.float32)
            )
        (voc / 'proposals').mkdir(exist_ok=True)
        save_proposals(content, voc / f'proposals/voc07_{split}.npz')
    return voc


FAST_OPTIONS = [
    'model.roi_head.bbox_head.fc_out_channels=64',
    'train_dataloader.dataset.pipeline.3.transforms.0.scales=[(200,96),(200,128)]',
    'val_dataloader.dataset.pipeline.2.transforms.0.scale=(200,96)',
    'default_hooks.checkpoint.interval=9',
    'default_hooks.checkpoint.save_best=None',
]


@pytest.mark.slow
def test_fast_rcnn_trains_on_proposals(proposals, pretrained, tmp_path, run_tool, capsys):
    options = [f'data_root={proposals}/', *TINY, *FAST_OPTIONS]
    arguments = [FAST, '--work-dir', tmp_path, '--backbone', pretrained[1]]
    run_tool('train', *arguments, '--cfg-options', *options)
    rows = [row for row in logged(tmp_path) if 'loss_cls' in row]
    assert len(rows) == 2
    assert not any('rpn' in key for key in rows[0])
    stds = torch.load(tmp_path / 'iter_2.pth', weights_only=False)['state_dict'][
        'roi_head.bbox_head.box_stds'
    ]
    assert (stds != 1).any(1).nonzero().flatten().tolist() == [11]  # only dogs
    table7, table8 = read_records(tmp_path)
    assert (table7.row, list(table8.values)) == ('RotNet', ['dog'])
    # Table 8 stands on its side: a line for each class, the published rows first
    dog = next(line for line in capsys.readouterr().out.splitlines() if line.startswith('│ dog'))
    cells = [cell.strip() for cell in dog.strip('│').split('│')]
    assert cells == ['dog', '63.9', '56.8', f'{table8.values["dog"]:.2f}']


@pytest.mark.parametrize('broken', ['missing', 'fewer', 'swapped', 'xywh', 'empty'])
def test_fast_rcnn_rejects_proposals_of_other_images(
    broken, proposals, pretrained, tmp_path, run_tool
):
    content = read_proposals(proposals / 'proposals/voc07_trainval.npz')
    file = tmp_path / 'proposals.npz'
    corner = dict(bboxes=np.array([[0, 0, 5, 5]], np.float32), scores=np.ones(1, np.float32))
    nothing = dict(bboxes=np.zeros((0, 4), np.float32), scores=np.zeros(0, np.float32))
    xywh = dict(bboxes=np.array([[70, 50, 20, 30]], np.float32), scores=np.ones(1, np.float32))
    too_few = r'cover 0 of 4 objects at IoU 0\.5\. They seem'
    content, message = {
        'missing': (None, r'No such file.*proposals\.npz'),
        'fewer': (
            {key: content[key] for key in list(content)[:-1]},
            r'proposals\.npz has no proposals for JPEGImages/000003\.jpg',
        ),
        'swapped': (dict.fromkeys(content, corner), too_few),
        'xywh': (dict.fromkeys(content, xywh), too_few),
        'empty': (dict.fromkeys(content, nothing), too_few),
    }[broken]
    if content is not None:
        save_proposals(content, file)
    option = f'train_dataloader.dataset.proposal_file={file}'
    arguments = [FAST, '--work-dir', tmp_path / 'work', '--backbone', pretrained[1]]
    with pytest.raises(SystemExit, match=message):
        run_tool(
            *('train', *arguments, '--cfg-options', f'data_root={proposals}/'),
            *(*TINY, *FAST_OPTIONS, option),
        )
    assert not list(tmp_path.rglob('*.pth'))


@pytest.mark.slow
@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            ['model.roi_head.bbox_head.num_classes=1'],
            r'bbox_head\.num_classes=1, but the data has 20 classes: aeroplane, .* and 15 more',
        ),
        (
            ['val_dataloader.dataset.metainfo.classes=(dog,cat)'],
            'classes of the training data are aeroplane, .* data dog, cat. Set metainfo',
        ),
        (
            ['train_dataloader.dataset.metainfo.classes=dog'],
            r'metainfo\.classes=dog is not a tuple\. Write \(dog,\)',
        ),
    ],
)
def test_detection_rejects_inconsistent_classes(options, message, voc, tmp_path, run_tool):
    arguments = [CONFIG, '--work-dir', tmp_path, '--backbone', 'random']
    with pytest.raises(SystemExit, match=message):
        run_tool(
            *('train', *arguments, '--cfg-options', f'data_root={voc}/', *TINY, *SMALL, *options)
        )
    assert not list(tmp_path.rglob('*.pth'))


def test_resnet50_detectors_have_the_details_of_their_source():
    mask, c4 = Config.fromfile(MASK), Config.fromfile(C4)
    assert (mask.param_scheduler[0].begin, mask.param_scheduler[0].end) == (0, 1000)
    assert c4.param_scheduler[0].end == 100
    assert c4.model.train_cfg.rpn.allowed_border == 0


def test_fast_rcnn_uses_roi_pooling():
    cfg = Config.fromfile(FAST)
    with DefaultScope.overwrite_default_scope('mmdet'):
        head = MODELS.build(cfg.model).roi_head
    (layer,) = head.bbox_roi_extractor.roi_layers
    assert (type(layer).__name__, layer.output_size, layer.spatial_scale) == (
        'RoIPool',
        (6, 6),
        1 / 16,
    )
    assert (type(head.bbox_head.loss_bbox).__name__, head.bbox_head.loss_bbox.beta) == (
        'SmoothL1Loss',
        1.0,
    )


def test_detection_names_an_image_that_cannot_be_decoded(voc, tmp_path, run_tool):
    root = tmp_path / 'VOCdevkit'
    shutil.copytree(voc, root)
    photo = root / 'VOC2007/JPEGImages/000004.jpg'  # a test image
    photo.write_bytes(photo.read_bytes()[:100])
    arguments = [CONFIG, '--work-dir', tmp_path / 'work', '--backbone', 'random']
    with pytest.raises((SystemExit, AssertionError), match=r'failed to load image: .*000004\.jpg'):
        run_tool('train', *arguments, '--cfg-options', f'data_root={root}/', *TINY, *SMALL)
    assert not (tmp_path / 'work/results.json').exists()


C4_OPTIONS = [
    *('model.backbone.depth=18', 'model.rpn_head.in_channels=256'),
    *('model.roi_head.shared_head.depth=18', 'model.roi_head.bbox_head.in_channels=512'),
    'model.roi_head.bbox_roi_extractor.out_channels=256',
    'model.roi_head.bbox_roi_extractor.roi_layer.output_size=4',
    'model.roi_head.bbox_head.roi_feat_size=2',
    *('model.train_cfg.rcnn.sampler.num=8', 'model.test_cfg.rpn.max_per_img=8'),
    'optim_wrapper.optimizer.lr=0.0002',
    'train_dataloader.dataset.datasets.0.pipeline.2.scales=[(200,64),(200,96)]',
    'train_dataloader.dataset.datasets.1.pipeline.2.scales=[(200,64),(200,96)]',
    'val_dataloader.dataset.pipeline.1.scale=(200,64)',
]


@pytest.mark.slow
def test_faster_rcnn_c4_trains_layer4_in_the_head(voc, resnet_checkpoint, tmp_path, run_tool):
    """It trains on VOC 2007 and 2012; layer4 of the checkpoint is loaded into the head."""
    root = tmp_path / 'VOCdevkit'
    shutil.copytree(voc, root)
    shutil.copytree(voc / 'VOC2007', root / 'VOC2012')
    arguments = [C4, '--work-dir', tmp_path / 'work', '--backbone', resnet_checkpoint]
    run_tool('train', *arguments, '--cfg-options', f'data_root={root}/', *TINY, *C4_OPTIONS)
    trained = trained_weights(tmp_path / 'work')
    source = torch.load(resnet_checkpoint)['state_dict']
    for key, name in (
        ('backbone.conv1.weight', 'conv1.weight'),
        ('backbone.layer3.1.conv2.weight', 'layer3.1.conv2.weight'),
        ('roi_head.shared_head.layer4.1.conv2.weight', 'layer4.1.conv2.weight'),
    ):
        moved = (trained[key] - source[f'backbone.{name}']).norm() / trained[key].norm()
        assert 0 < moved < 0.05, key
    assert not any(key.startswith('backbone.layer4') for key in trained)
    assert trained['roi_head.shared_head.extra_norm.num_batches_tracked'] == 2
    (record,) = read_records(tmp_path / 'work')
    metrics = logged(tmp_path / 'work')[-1]
    assert record.values == {'AP50': pytest.approx(metrics['pascal_voc/AP50'] * 100)}
    assert record.samples_per_epoch == 8


@pytest.fixture(scope='module')
def coco(voc, tmp_path_factory) -> Path:
    """COCO in its layout with the same images and the squares as masks."""
    root = tmp_path_factory.mktemp('coco')
    (root / 'annotations').mkdir()
    for split, name in (('train2017', 'trainval'), ('val2017', 'test')):
        (root / split).mkdir()
        images, annotations = [], []
        for line in (voc / f'VOC2007/ImageSets/Main/{name}.txt').read_text().split():
            shutil.copy(voc / f'VOC2007/JPEGImages/{line}.jpg', root / split)
            xml = (voc / f'VOC2007/Annotations/{line}.xml').read_text()
            x, y = (int(re.search(f'<{key}>(\\d+)', xml)[1]) for key in ('xmin', 'ymin'))
            images.append(
                {'id': int(line), 'file_name': f'{line}.jpg', 'width': 128, 'height': 96}
            )
            annotations.append(
                {
                    'id': len(annotations) + 1,
                    'image_id': int(line),
                    'category_id': COCO_CLASSES.index('dog') + 1,
                    'bbox': [x, y, 45, 45],
                    'area': 45 * 45,
                    'iscrowd': 0,
                    'segmentation': [[x, y, x + 45, y, x + 45, y + 45, x, y + 45]],
                }
            )
        content = {'images': images, 'annotations': annotations}
        content['categories'] = [
            {'id': index + 1, 'name': name} for index, name in enumerate(COCO_CLASSES)
        ]
        mmengine.dump(content, root / f'annotations/instances_{split}.json')
    return root


MASK_OPTIONS = [
    *('model.backbone.depth=18', 'model.neck.in_channels=[64,128,256,512]'),
    *('train_cfg.max_epochs=1', 'model.train_cfg.rcnn.sampler.num=16'),
    *('model.test_cfg.rpn.max_per_img=16', 'model.test_cfg.rcnn.max_per_img=8'),
    'train_dataloader.dataset.pipeline.2.scales=[(160,96)]',
    'val_dataloader.dataset.pipeline.1.scale=(160,96)',
]


@pytest.mark.slow
def test_mask_rcnn_trains_and_records_coco_metrics(coco, resnet_checkpoint, tmp_path, run_tool):
    arguments = [MASK, '--work-dir', tmp_path, '--backbone', resnet_checkpoint]
    run_tool(
        *('train', *arguments, '--cfg-options', f'data_root={coco}/', *TINY[2:]),
        *(*MASK_OPTIONS, 'optim_wrapper.optimizer.lr=0.0002', 'model.test_cfg.rcnn.score_thr=0'),
    )
    rows = [row for row in logged(tmp_path) if 'loss_mask' in row]
    assert len(rows) == 2  # 4 images by 2
    trained = torch.load(tmp_path / 'epoch_1.pth', weights_only=False)['state_dict']
    source = torch.load(resnet_checkpoint)['state_dict']
    weight = trained['backbone.layer4.1.conv2.weight']
    moved = (weight - source['backbone.layer4.1.conv2.weight']).norm() / weight.norm()
    assert 0 < moved < 0.05
    for key in ('neck.fpn_convs.0.bn', 'roi_head.bbox_head.shared_convs.3.bn'):
        assert trained[f'{key}.num_batches_tracked'] == 2
    (record,) = read_records(tmp_path)
    assert list(record.values) == published_table('resnet50_coco')['columns']
    assert (record.data, record.images) == (f'{coco.name} instances_val2017', 2)


@pytest.mark.slow
def test_mask_rcnn_without_detections_ends_with_a_table(coco, tmp_path, run_tool, capsys):
    """mmdet's metric then reports nothing."""
    run_tool(
        *('train', MASK, '--work-dir', tmp_path, '--backbone', 'random'),
        *('--cfg-options', f'data_root={coco}/', *TINY[2:], *MASK_OPTIONS),
        'model.test_cfg.rcnn.score_thr=1',
    )
    assert read_records(tmp_path)[0].values == {}
    assert 'Not measured: coco/bbox_mAP, ' in capsys.readouterr().out


@pytest.mark.slow
def test_detection_command_trains_coco_with_two_processes(
    coco, resnet_checkpoint, tmp_path, run_benchmark
):
    printed = run_benchmark(
        *('detection.sh', resnet_checkpoint, MASK),
        *('--work-dir', tmp_path, '--cfg-options', f'data_root={coco}/', *TINY[2:]),
        *(*MASK_OPTIONS, 'train_dataloader.batch_size=1', 'model.test_cfg.rcnn.score_thr=0'),
        *('optim_wrapper.optimizer.lr=0.0002', 'default_hooks.checkpoint.interval=9'),
    )
    (record,) = read_records(tmp_path)
    assert (record.processes, record.batch_size, record.images) == (2, 2, 2)
    assert list(record.values) == published_table('resnet50_coco')['columns']
    assert ' 37.9 ' in printed  # the published one


@pytest.mark.slow
def test_detection_command_trains_voc_with_two_processes(voc, pretrained, tmp_path, run_benchmark):
    """Each process trains on half of the images; there is one result."""
    printed = run_benchmark(
        *('detection.sh', pretrained[1], CONFIG),
        *('--work-dir', tmp_path, '--cfg-options', f'data_root={voc}/', *TINY, *SMALL),
        'train_dataloader.batch_size=1',
    )
    assert printed.count('Rescaled the weights on 4 training images') == 1
    table7, _ = read_records(tmp_path)
    assert (table7.processes, table7.batch_size, table7.images) == (2, 2, 2)
    assert table7.checkpoint == str(pretrained[1])
    assert f'{table7.values["detection"]:.2f}' in printed
    assert '54.40' in printed  # the published one


def test_load_module_rejects_fc6_of_another_size(pretrained, voc, tmp_path, run_tool):
    state = dict(torch.load(pretrained[1])['state_dict'])
    state['fc6.fc.weight'] = torch.rand(32, 9216)
    target = torch.nn.Linear(9216, 64)
    with pytest.raises(
        ValueError, match=r'file, fc6\.fc does not match .* weight has shape \(32, 9216\)'
    ):
        load_module(target, state, 'fc6.fc', 'file')
    with pytest.raises(
        ValueError, match=r'file, fc9 lacks 2 of the 2 keys of Linear: weight, bias'
    ):
        load_module(target, state, 'fc9', 'file')
    # and by the command, which rescales first
    torch.save(state, tmp_path / 'small.pth')
    arguments = [CONFIG, '--work-dir', tmp_path / 'work', '--backbone', tmp_path / 'small.pth']
    with pytest.raises(SystemExit, match=r'checkpoint .*small\.pth: .* fc6\.fc\.bias has shape'):
        run_tool('train', *arguments, '--cfg-options', f'data_root={voc}/', *TINY, *SMALL)
