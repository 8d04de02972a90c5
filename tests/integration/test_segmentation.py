"""Segmentation with FCNs on tiny versions of VOC and Cityscapes with mmseg."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers import inheriting, logged
from mmengine.config import Config

from mmrot.results import read_records
from mmrot.weights import absorb_bn, fold_std, fully_convolutional
from mmrot.weights.state_dict import split_backbone

pytest.importorskip('mmseg')
FCN32S = inheriting('benchmarks/segmentation/fcn32s_alexnet_voc12.py')
VOC12AUG = inheriting('benchmarks/segmentation/fcn_r50_d8_4xb4_20k_voc12aug.py')
CITYSCAPES = inheriting('benchmarks/segmentation/fcn_r50_d8_4xb2_40k_cityscapes.py')
TINY = [
    *('train_cfg.max_iters=2', 'train_cfg.val_interval=2', 'train_dataloader.batch_size=2'),
    *('train_dataloader.num_workers=0', 'val_dataloader.num_workers=0'),
    *('test_dataloader.num_workers=0', 'default_hooks.logger.interval=1'),
    'default_hooks.checkpoint.interval=2',
]
ALEXNET = [
    *('model.backbone.fc_channels=64', 'model.decode_head.in_channels=64'),
    'model.decode_head.channels=64',
    # scores of zero pass no gradient: the backbone learns from the second update on
    *('optim_wrapper.accumulative_counts=1', 'optim_wrapper.optimizer.lr=0.01'),
]
RESNET18 = [
    *('model.backbone.depth=18', 'model.decode_head.in_channels=512'),
    *('model.decode_head.channels=32', 'model.auxiliary_head.in_channels=256'),
    'model.auxiliary_head.channels=32',
]
SMALL = [
    'model.data_preprocessor.size=(64,64)',
    'train_dataloader.dataset.pipeline.2.scale=(160,120)',
    'train_dataloader.dataset.pipeline.3.crop_size=(64,64)',
]


def photo(rng: np.random.Generator, height: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """A dark image with a bright square, and its mask: class 12, 255 at its edge."""
    image = rng.integers(0, 60, (height, 150, 3), dtype=np.uint8)
    mask = np.zeros((height, 150), np.uint8)
    y, x = (int(v) for v in rng.integers(5, 60, 2))
    mask[y : y + 50, x : x + 50] = 255
    mask[y + 2 : y + 48, x + 2 : x + 48] = 12
    image[mask > 0] = 240
    return image, mask


@pytest.fixture(scope='module')
def voc12(tmp_path_factory) -> Path:
    """VOC 2012: 3 images in train, also of SBD, 2 in aug, 2 in val, 1 of these in seg11valid."""
    root = tmp_path_factory.mktemp('VOC') / 'VOC2012'
    folders = ('JPEGImages', *(f'SegmentationClass{kind}' for kind in ('', 'Aug', 'SBD')))
    for folder in (*folders, 'ImageSets/Segmentation'):
        (root / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for split, indices in (('train', range(3)), ('aug', range(3, 5)), ('val', range(5, 7))):
        names = [f'2007_{index:06d}' for index in indices]
        (root / f'ImageSets/Segmentation/{split}.txt').write_text('\n'.join(names) + '\n')
        masks = 'SegmentationClassAug' if split == 'aug' else 'SegmentationClass'
        for name in names:
            image, mask = photo(rng)
            cv2.imwrite(str(root / f'JPEGImages/{name}.jpg'), image)
            cv2.imwrite(str(root / f'{masks}/{name}.png'), mask)
            if split == 'train':
                cv2.imwrite(str(root / f'SegmentationClassSBD/{name}.png'), mask)
    lists = root / 'ImageSets/Segmentation'
    shutil.copy(lists / 'train.txt', lists / 'sbd_train.txt')
    shutil.copy(lists / 'val.txt', lists / 'fcn_val.txt')
    (lists / 'seg11valid.txt').write_text('2007_000006\n')
    return root


def weights(work_dir: Path) -> dict[str, torch.Tensor]:
    return torch.load(work_dir / 'iter_2.pth', weights_only=False)['state_dict']


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore:__array_wrap__')
def test_fcn32s_trains_and_draws_predictions(voc12, alexnet_checkpoint, tmp_path, run_tool):
    """Batch norm is absorbed, fc6 and fc7 are convolutions, all layers are trained."""
    arguments = [FCN32S, '--work-dir', tmp_path, '--backbone', alexnet_checkpoint]
    options = [f'data_root={voc12}', 'default_hooks.load_backbone.rescale=0', *TINY, *ALEXNET]
    run_tool('train', *arguments, '--cfg-options', *options)
    rows = [row for row in logged(tmp_path) if 'decode.loss_ce' in row]
    assert len(rows) == 2
    assert rows[0]['decode.loss_ce'] == pytest.approx(np.log(21), rel=1e-4)  # scores of zero
    source = torch.load(alexnet_checkpoint)['state_dict']
    backbone, _ = split_backbone(absorb_bn(source))
    trained, expected = weights(tmp_path), fully_convolutional(fold_std(backbone))
    for key, value in expected.items():
        name = f'backbone.{key}'
        moved = (trained[name] - value).norm() / value.norm().clamp(min=1)
        assert 0 < moved < 0.05, name
    assert trained['decode_head.conv_seg.weight'].abs().max() > 0
    (record,) = read_records(tmp_path)
    metrics = logged(tmp_path)[-1]
    assert record.values == {'segmentation': pytest.approx(metrics['seg11valid/mIoU'])}
    assert metrics['val/mIoU'] == metrics['mIoU']  # all images are of val
    assert (record.table, record.row, record.data) == ('table7', 'RotNet', 'VOC2012 fcn_val')

    run_tool(
        *('show_predictions', FCN32S, tmp_path / 'iter_2.pth', '--work-dir', tmp_path),
        *('--count', 1, '--cfg-options', f'data_root={voc12}', *ALEXNET),
        'val_dataloader.num_workers=0',
    )
    (path,) = (tmp_path / 'predictions').iterdir()
    name = path.stem.removeprefix('00000_')
    picture = cv2.imread(str(path)).astype(int)
    source = cv2.imread(str(voc12 / f'JPEGImages/{name}.jpg')).astype(int)
    mask = cv2.imread(str(voc12 / f'SegmentationClass/{name}.png'), cv2.IMREAD_GRAYSCALE)
    assert picture.shape == (24 + 120, 3 * 150 + 2 * 8, 3)
    truth = picture[24:, -150:]
    assert np.array_equal(picture[24:, :150], source)
    # background and object are drawn in two colours, on the same places as the mask
    colours = [(truth - source * 0.2)[mask == value].mean(0) for value in (0, 12)]
    assert np.abs(colours[0] - colours[1]).max() > 50


def test_fcn32s_config_has_published_settings():
    """Alignment of input and output, and the schedule of Long et al."""
    cfg = Config.fromfile(FCN32S)
    backbone, head = cfg.model.backbone, cfg.model.decode_head
    assert (backbone.padding, backbone.convolutional, head.align_corners) == (96, True, False)
    assert backbone.get('frozen_stages', -1) == -1
    assert cfg.model.data_preprocessor.size_divisor == 32  # images at full size
    assert cfg.model.data_preprocessor.test_cfg.size_divisor == 32
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 1
    assert cfg.optim_wrapper.accumulative_counts == 20
    assert cfg.train_dataloader.dataset.ann_file.endswith('sbd_train.txt')
    assert (backbone.dropout, head.dropout_ratio) == (0.5, 0)
    optimizer, more = cfg.optim_wrapper.optimizer, cfg.optim_wrapper.paramwise_cfg
    assert (optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (1e-4, 0.9, 0.0005)
    assert (more.bias_lr_mult, more.bias_decay_mult) == (2, 0)
    assert (cfg.train_cfg.max_iters, cfg.param_scheduler) == (100000 * 20, [])


@pytest.mark.slow
@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            ['model.data_preprocessor.seg_pad_val=0'],
            r'seg_pad_val=0 differs from decode_head\.ignore_index=255',
        ),
        (['val_evaluator.ignore_index=11'], r'val_evaluator\.ignore_index=11 differs from'),
        (
            [
                'model.data_preprocessor.size=(96,160)',
                'model.data_preprocessor.size_divisor=None',
            ],
            r'\.jpg has \(height, width\) \(120, 150\), which exceeds .*size=\(96, 160\)',
        ),
    ],
)
def test_segmentation_rejects_inconsistent_settings(options, message, voc12, tmp_path, run_tool):
    arguments = ['train', FCN32S, '--work-dir', tmp_path, '--backbone', 'random']
    with pytest.raises((SystemExit, ValueError), match=message):
        run_tool(*arguments, '--cfg-options', f'data_root={voc12}', *TINY, *ALEXNET, *options)
    assert not list(tmp_path.rglob('*.pth'))


@pytest.mark.slow
def test_fcn32s_rescales_random_weights(voc12, tmp_path, run_tool, capsys):
    arguments = [FCN32S, '--work-dir', tmp_path, '--backbone', 'random-rescaled']
    run_tool('train', *arguments, '--cfg-options', f'data_root={voc12}', *TINY, *ALEXNET)
    assert 'Rescaled the weights on 3 training images' in capsys.readouterr().out
    assert read_records(tmp_path)[0].row == 'random rescaled'


@pytest.mark.slow
def test_fcn_trains_on_voc12aug(voc12, resnet_checkpoint, tmp_path, run_tool):
    options = [option.replace('.dataset.', '.dataset.datasets.{}.') for option in SMALL[1:]]
    run_tool(
        *('train', VOC12AUG, '--work-dir', tmp_path, '--backbone', resnet_checkpoint),
        *('--cfg-options', f'data_root={voc12}', *TINY, SMALL[0], *RESNET18),
        *(option.format(index) for option in options for index in (0, 1)),
        *(f'train_dataloader.dataset.datasets.{i}.pipeline.6.size=(64,64)' for i in (0, 1)),
        'val_dataloader.dataset.pipeline.1.scale=(160,120)',
    )
    (record,) = read_records(tmp_path)
    assert record.values == {'mIoU': pytest.approx(logged(tmp_path)[-1]['mIoU'])}
    assert (record.table, record.samples_per_epoch) == ('resnet50_voc12aug', 5)
    trained, source = weights(tmp_path), torch.load(resnet_checkpoint)['state_dict']
    moved = trained['backbone.layer4.1.conv2.weight'] - source['backbone.layer4.1.conv2.weight']
    assert 0 < moved.norm() / trained['backbone.layer4.1.conv2.weight'].norm() < 0.2


@pytest.fixture
def cityscapes(tmp_path) -> Path:
    """Cityscapes: one image in train, one in val, masks of 19 classes."""
    rng = np.random.default_rng(0)
    for split in ('train', 'val'):
        image, mask = photo(rng)
        for folder, suffix, content in (
            ('leftImg8bit', 'leftImg8bit', image),
            ('gtFine', 'gtFine_labelTrainIds', mask),
        ):
            path = tmp_path / f'cityscapes/{folder}/{split}/aachen/a_000000_000019_{suffix}.png'
            path.parent.mkdir(parents=True)
            cv2.imwrite(str(path), content)
    return tmp_path / 'cityscapes'


@pytest.mark.slow
def test_fcn_trains_on_cityscapes(cityscapes, resnet_checkpoint, tmp_path, run_tool):
    run_tool(
        *('train', CITYSCAPES, '--work-dir', tmp_path / 'work', '--backbone', resnet_checkpoint),
        *('--cfg-options', f'data_root={cityscapes}/', *TINY, *SMALL, *RESNET18),
        *('val_dataloader.dataset.pipeline.1.scale=(160,120)', 'model.test_cfg.mode=whole'),
    )
    (record,) = read_records(tmp_path / 'work')
    assert record.values == {'mIoU': pytest.approx(logged(tmp_path / 'work')[-1]['mIoU'])}
    assert record.data == 'cityscapes val'


@pytest.mark.slow
@pytest.mark.parametrize(
    'broken', ['class', 'size', 'mask', 'cut mask', 'colours', 'photo', 'empty']
)
def test_segmentation_names_invalid_files(broken, voc12, tmp_path, run_tool):
    root = tmp_path / 'VOC2012'
    shutil.copytree(voc12, root)
    mask = root / 'SegmentationClassSBD/2007_000001.png'
    if broken == 'class':
        cv2.imwrite(str(mask), np.full((120, 150), 77, np.uint8))
        message = r'mask .*2007_000001\.png has class indices \[77\]\. Expected 0 to 20, or 255'
    elif broken == 'size':
        cv2.imwrite(str(mask), np.zeros((60, 75), np.uint8))
        message = r'mask .*1\.png has shape \(60, 75\), but its image has \(120, 150\)'
    elif broken == 'mask':
        mask.write_bytes(b'no image')
        message = r'mask .*2007_000001\.png cannot be decoded'
    elif broken == 'cut mask':
        mask.write_bytes(mask.read_bytes()[:80])
        message = r'mask .*2007_000001\.png cannot be decoded'
    elif broken == 'colours':
        cv2.imwrite(str(mask), np.zeros((120, 150, 3), np.uint8))
        message = r'mask .*2007_000001\.png has shape \(120, 150, 3\), but'
    elif broken == 'photo':
        (root / 'JPEGImages/2007_000001.jpg').write_bytes(b'no image')
        message = r'failed to load image: .*2007_000001\.jpg'
    else:
        (root / 'ImageSets/Segmentation/sbd_train.txt').write_text('')
        message = r'PascalVOCDataset with data_root=.*sbd_train\.txt has no images'
    arguments = [FCN32S, '--work-dir', tmp_path / 'work', '--backbone', 'random']
    with pytest.raises((SystemExit, ValueError, AssertionError), match=message):
        run_tool(
            *('train', *arguments, '--cfg-options', f'data_root={root}', *TINY, *ALEXNET),
            'train_dataloader.batch_size=3',
        )
    assert not list(tmp_path.rglob('*.pth'))


def test_segmentation_rejects_another_number_of_classes(voc12, tmp_path, run_tool):
    with pytest.raises(
        SystemExit, match=r'decode_head\.num_classes=20, but the data has 21 classes'
    ):
        run_tool(
            *('train', FCN32S, '--work-dir', tmp_path, '--backbone', 'random'),
            *('--cfg-options', f'data_root={voc12}', *TINY, *ALEXNET),
            'model.decode_head.num_classes=20',
        )


@pytest.mark.slow
def test_segmentation_command_trains_with_two_processes(
    voc12, alexnet_checkpoint, tmp_path, run_benchmark
):
    printed = run_benchmark(
        *('segmentation.sh', alexnet_checkpoint),
        *('--work-dir', tmp_path, '--cfg-options', f'data_root={voc12}', *TINY, *ALEXNET),
        *('train_dataloader.batch_size=1', 'default_hooks.checkpoint.interval=9'),
    )
    assert printed.count('Rescaled the weights on 3 training images') == 1
    (record,) = read_records(tmp_path)
    assert (record.processes, record.batch_size, record.images) == (2, 2, 2)
    assert ' 39.10 ' in printed  # the published one
    assert f'{record.values["segmentation"]:.2f}' in printed
