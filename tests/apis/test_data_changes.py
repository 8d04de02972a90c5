import numpy as np
import pytest
import torch
from helpers import shipped, write_photo
from mmengine.config import Config
from mmengine.registry import DATASETS, TRANSFORMS
from mmpretrain.datasets.transforms import RandomCrop, RandomResizedCrop

import mmrot
from mmrot.apis import (
    cached_images,
    in_memory,
    with_data_root,
    with_image_folder,
    with_image_size,
    with_labelled_folder,
)
from mmrot.datasets import Shards
from mmrot.datasets.pack import pack_photos
from mmrot.errors import UserError

PRETRAINING = [name for name in mmrot.list_configs() if not name.startswith('benchmarks/')]


def probe(name: str) -> Config:
    return shipped(f'benchmarks/classification/{name}.py')


def test_with_data_root_moves_every_data_set():
    cfg = with_data_root(shipped('rotnet_alexnet_in1k.py'), '/big/disk')
    loaders = ('train_dataloader', 'val_dataloader', 'test_dataloader')
    assert [cfg[loader].dataset.data_root for loader in loaders] == ['/big/disk'] * 3


def test_with_data_root_moves_wrapped_data_sets_and_evaluators():
    """As in mmdet's VOC 07+12 and COCO."""
    inner = dict(type='VOC', data_root='data/VOC/', ann_file='a.txt')
    concat = dict(type='ConcatDataset', datasets=[inner, dict(data_root='other')])
    cfg = Config(
        dict(
            data_root='data/VOC/',
            train_dataloader=dict(dataset=dict(type='RepeatDataset', dataset=concat)),
            val_evaluator=dict(type='Coco', ann_file='data/VOC/ann.json'),
        )
    )
    cfg = with_data_root(cfg, '/X')
    datasets = cfg.train_dataloader.dataset.dataset.datasets
    assert [d.data_root for d in datasets] == ['/X/', 'other']
    assert cfg.val_evaluator.ann_file == '/X/ann.json'


def test_with_data_root_refuses_config_without_data_there():
    cfg = Config(dict(data_root='a', train_dataloader=dict(dataset=dict(data_root='ab'))))
    with pytest.raises(UserError, match='data_root=c: no dataset of the config is located in a'):
        with_data_root(cfg, 'c')


@pytest.mark.slow
@pytest.mark.parametrize('name', PRETRAINING)
def test_with_image_folder_keeps_the_size_of_every_config(name, photo_folder):
    cfg = with_image_folder(shipped(name), str(photo_folder))
    sizes = dict(in1k=224, places=224, digits=16, photos=96)
    size = next((pixels for part, pixels in sizes.items() if part in name), 32)
    for field, count in (('train_dataloader', 22), ('val_dataloader', 2), ('test_dataloader', 2)):
        dataset = DATASETS.build(cfg[field].dataset)
        assert len(dataset) == count
        assert dataset[0]['inputs'].shape == (3, size, size)
        assert dataset[0]['inputs'].dtype == torch.uint8
    assert cfg.data_preprocessor.to_rgb


@pytest.mark.parametrize(
    ('ending', 'side', 'crop_size', 'kind'),
    [
        ('jpg', 32, 32, RandomResizedCrop),
        ('JPEG', 127, (32, 32), RandomResizedCrop),
        ('jpg', 128, 32, RandomCrop),
        ('png', 32, 32, RandomCrop),
    ],
)
def test_with_image_folder_resizes_crops_of_small_jpegs(ending, side, crop_size, kind, tmp_path):
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a/0.jpg').write_bytes(b'damaged')
    write_photo(tmp_path / f'a/1.{ending}', np.random.default_rng(0), (side, 200))
    write_photo(tmp_path / 'b/0.jpg', np.random.default_rng(0), (300, 300))
    cfg = shipped('rotnet/nin4_cifar10.py')
    cfg.train_dataloader.dataset.pipeline[1].crop_size = crop_size
    cfg = with_image_folder(cfg, str(tmp_path))
    crop = TRANSFORMS.build(cfg.train_dataloader.dataset.pipeline[2])
    assert type(crop) is kind
    if kind is RandomResizedCrop:
        assert (crop.scale, crop.crop_ratio_range) == ((32, 32), (0.2, 1.0))
        assert crop.aspect_ratio_range == (0.5, 2.0)
    for field in ('val_dataloader', 'test_dataloader'):
        assert cfg[field].dataset.pipeline[2].type.endswith('CenterCrop')
    if crop_size == 32:
        dataset = in_memory(cfg).train_dataloader.dataset
        if kind is RandomResizedCrop:
            assert (dataset.crop_size, dataset.crop_ratio_range) == (32, (0.2, 1.0))
            assert dataset.aspect_ratio_range == (0.5, 2.0)


def test_with_image_folder_resizes_crops_of_packs(photo_folder, tmp_path):
    pack_photos(photo_folder, tmp_path / 'pack')
    cfg = with_image_folder(shipped('rotnet/nin4_cifar10.py'), str(tmp_path / 'pack'))
    crop = TRANSFORMS.build(cfg.train_dataloader.dataset.pipeline[2])
    assert (type(crop), crop.aspect_ratio_range) == (RandomResizedCrop, (0.5, 2.0))


@pytest.mark.parametrize(
    ('side', 'before', 'areas', 'ratios'),
    [
        (63, (0.3, 1.0), (0.2, 1.0), (0.5, 2.0)),
        (63, (0.08, 1.0), (0.08, 1.0), (0.5, 2.0)),
        (64, (0.3, 1.0), (0.3, 1.0), (3 / 4, 4 / 3)),
    ],
)
def test_with_image_folder_stretches_resized_crops_of_small_jpegs(
    side, before, areas, ratios, tmp_path
):
    write_photo(tmp_path / '0.jpg', np.random.default_rng(0), (side, 200))
    cfg = with_image_size(shipped('rotnet/photos.py'), 32)
    cfg.train_dataloader.dataset.pipeline[1].crop_ratio_range = before
    cfg = with_image_folder(cfg, str(tmp_path))
    crop = TRANSFORMS.build(cfg.train_dataloader.dataset.pipeline[1])
    assert (crop.scale, crop.crop_ratio_range) == ((32, 32), areas)
    assert crop.aspect_ratio_range == ratios
    cfg.train_dataloader.dataset.pipeline[1].aspect_ratio_range = (1, 1)
    cfg = with_image_folder(cfg, str(tmp_path))
    assert cfg.train_dataloader.dataset.pipeline[1].aspect_ratio_range == (1, 1)


@pytest.mark.parametrize('name', ['rotnet/photos.py', 'rotnet/resnet50_8xb16_steplr_70e_in1k.py'])
def test_with_image_size_keeps_the_margin_of_the_crop(name, photo_folder):
    before = shipped(name).val_dataloader.dataset.pipeline
    cfg = with_image_size(with_image_folder(shipped(name), str(photo_folder)), 48)
    for field in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        assert DATASETS.build(cfg[field].dataset)[0]['inputs'].shape == (3, 48, 48)
    resize, crop = cfg.val_dataloader.dataset.pipeline[1:3]
    assert resize.scale == round(before[1].scale * 48 / before[2].crop_size)
    assert crop.crop_size == 48


def test_with_image_size_refuses_a_pipeline_without_a_crop():
    cfg = shipped('rotnet/nin4_digits.py')
    cfg.train_dataloader.dataset.pipeline = [dict(type='mmpretrain.PackInputs')]
    with pytest.raises(UserError, match='the pipeline of train_dataloader has no square crop'):
        with_image_size(cfg, 32)


def test_with_image_folder_validates_on_a_second_folder(photo_folder):
    cfg = shipped('rotnet/nin4_digits.py')
    cfg = with_image_folder(cfg, str(photo_folder), str(photo_folder / 'holiday'))
    assert cfg.train_dataloader.dataset.split == 'all'
    assert cfg.val_dataloader.dataset.data_root.endswith('holiday')


def test_with_image_folder_reads_shards(photo_folder, tmp_path):
    pack_photos(photo_folder, tmp_path / 'pack', shard_size=10)
    pack = str(tmp_path / 'pack')
    cfg = with_image_folder(shipped('rotnet/photos.py'), pack)
    for field, count in (('train_dataloader', 22), ('val_dataloader', 2), ('test_dataloader', 2)):
        dataset = DATASETS.build(cfg[field].dataset)
        assert (type(dataset), len(dataset)) == (Shards, count)
        assert dataset[0]['inputs'].shape == (3, 96, 96)
    cfg = with_image_folder(shipped('rotnet/photos.py'), pack, str(photo_folder))
    kinds = [cfg[f'{split}_dataloader'].dataset.type for split in ('train', 'val', 'test')]
    assert kinds == ['mmrot.Shards', 'mmrot.ImageFolder', 'mmrot.ImageFolder']
    assert cfg.train_dataloader.dataset.split == cfg.val_dataloader.dataset.split == 'all'
    (tmp_path / 'pack/index.npz').unlink()
    cfg = with_image_folder(shipped('rotnet/photos.py'), pack)
    with pytest.raises(UserError, match='the pack is incomplete'):
        DATASETS.build(cfg.train_dataloader.dataset)


def test_with_image_folder_refuses_a_probe(photo_folder):
    with pytest.raises(UserError, match='A probe needs labels'):
        with_image_folder(probe('nin4_conv_cifar10'), str(photo_folder))


def test_with_labelled_folder_sets_data_and_number_of_classes(labelled_folder):
    cfg = with_labelled_folder(probe('nin4_conv_cifar10'), str(labelled_folder))
    assert cfg.model.head.num_classes == 3
    assert cfg.data_preprocessor.to_rgb
    assert cfg.train_dataloader.dataset.data_prefix == 'train'
    assert cfg.val_dataloader.dataset.data_prefix == 'test'
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    assert [dataset.get_data_info(i)['gt_label'] for i in range(12)] == [0] * 4 + [1] * 4 + [2] * 4
    assert dataset[5]['inputs'].shape == (3, 32, 32)
    sample = DATASETS.build(cfg.val_dataloader.dataset)[3]
    assert sample['inputs'].float().mean() == pytest.approx(110, abs=5)  # 90 + 0..39


def test_with_labelled_folder_keeps_the_scale_of_initial_weights(labelled_folder):
    head = with_labelled_folder(probe('alexnet_linear_in1k'), str(labelled_folder)).model.head
    assert (head.num_classes, head.init_num_classes) == (3, 1000)


def test_with_labelled_folder_keeps_the_wrapper_of_a_data_set(labelled_folder):
    cfg = with_labelled_folder(probe('nin4_semi_supervised_cifar10'), str(labelled_folder))
    subset = cfg.train_dataloader.dataset
    assert (subset.type, subset.epoch_length) == ('mmrot.PerClassSubset', 50000)
    assert subset.dataset.type == 'mmpretrain.CustomDataset'
    subset.num_per_class = 2
    assert DATASETS.build(subset).indices.tolist() == [0, 4, 8, 1, 5, 9]


def test_with_labelled_folder_replaces_a_multi_label_head(labelled_folder):
    head = with_labelled_folder(probe('alexnet_fc6_8_voc07'), str(labelled_folder)).model.head
    assert (head.type, head.loss.use_sigmoid) == ('mmpretrain.LinearClsHead', False)


def test_with_labelled_folder_leaves_a_pretraining_model_alone(labelled_folder):
    cfg = with_labelled_folder(shipped('rotnet/alexnet_in1k.py'), str(labelled_folder))
    assert cfg.model == shipped('rotnet/alexnet_in1k.py').model
    assert DATASETS.build(cfg.test_dataloader.dataset).get_data_info(5)['gt_label'] == 2


@pytest.mark.parametrize(
    ('folders', 'message'),
    [
        ((), 'has no train/'),
        (('train/a',), 'has no test/'),
        (('train/a', 'val/a', 'val/b'), r'the classes of train/ and val/ differ: b\.'),
        (('train', 'test'), 'train has no class folders'),
    ],
    ids=['empty', 'no validation', 'other classes', 'no classes'],
)
def test_with_labelled_folder_refuses_incomplete_folders(folders, message, tmp_path):
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(UserError, match=message):
        with_labelled_folder(probe('nin4_conv_cifar10'), str(tmp_path))


def test_cached_images_replaces_loading_crop_and_flip():
    cfg = cached_images(shipped('rotnet_alexnet_in1k.py'), 'cache')
    assert cfg.train_dataloader.dataset.pipeline == [
        # 8 % of the image at an aspect ratio of 3/4: 224 / sqrt(0.08 * 3/4)
        dict(type='mmrot.LoadCachedImage', folder='cache', short_side=915),
        dict(type='mmrot.TorchResizedCrop', scale=224, interpolation='bilinear', flip=True),
        dict(type='mmpretrain.PackInputs'),
    ]
    original = shipped('rotnet_alexnet_in1k.py')
    for field in ('val_dataloader', 'test_dataloader'):
        first, *others = cfg[field].dataset.pipeline
        assert first == dict(type='mmrot.LoadCachedImage', folder='cache', short_side=256)
        assert others == original[field].dataset.pipeline[1:]


def test_cached_images_follows_the_crops():
    cfg = with_image_size(shipped('rotnet/photos.py'), 48)
    pipeline = cached_images(cfg, 'cache').train_dataloader.dataset.pipeline
    assert pipeline[0].short_side == 102  # 30 % or more: 48 / sqrt(0.3 * 3/4)
    cfg = cached_images(cfg, 'cache', short_side=64)
    assert cfg.train_dataloader.dataset.pipeline[0].short_side == 64
    assert cfg.val_dataloader.dataset.pipeline[0].short_side == 55  # that of ResizeEdge


def test_cached_images_refuses_other_pipelines():
    for change in (
        lambda steps: steps[0].update(color_type='grayscale'),
        lambda steps: steps.insert(1, dict(type='mmpretrain.RandomCrop', crop_size=300)),
    ):
        cfg = shipped('rotnet_alexnet_in1k.py')
        change(cfg.train_dataloader.dataset.pipeline)
        with pytest.raises(UserError, match='the pipeline of train_dataloader does not begin'):
            cached_images(cfg, 'cache')
    with pytest.raises(UserError, match='the pipeline of train_dataloader does not begin with'):
        cached_images(shipped('rotnet/nin4_cifar10.py'), 'cache')
    cfg = shipped('rotnet_alexnet_in1k.py')
    cfg.val_dataloader.dataset.pipeline[1].interpolation = 'bicubic'
    with pytest.raises(UserError, match=r'the pipeline of val_dataloader .* by a bilinear'):
        cached_images(cfg, 'cache')


def test_in_memory_wraps_data_and_batches_the_random_steps():
    cfg = in_memory(shipped('rotnet/nin4_cifar10.py'))
    dataset = cfg.train_dataloader.dataset
    assert dataset.type == 'mmrot.InMemoryImages'
    assert (dataset.crop_size, dataset.padding, dataset.flip) == (32, 4, True)
    kept = [step.type for step in dataset.dataset.pipeline]
    assert kept == ['mmpretrain.ResizeEdge', 'mmpretrain.PackInputs']
    assert not dataset.with_samples
    assert cfg.val_dataloader.dataset.with_samples
    assert cfg.train_dataloader.num_workers == 0


@pytest.mark.parametrize(
    ('steps', 'message'),
    [
        ([dict(type='mmpretrain.RandomResizedCrop', scale=32)], 'mmpretrain.RandomResizedCrop'),
        ([dict(type='RandomFlip', prob=0.3)], 'RandomFlip'),
        ([dict(type='RandomCrop', crop_size=8, padding_mode='edge')], 'RandomCrop'),
        ([dict(type='RandomCrop', crop_size=8), dict(type='Resize', scale=4)], 'Resize'),
        ([], 'has no pipeline'),
    ],
    ids=['resized crop', 'rare flip', 'other padding', 'step after a random one', 'none'],
)
def test_in_memory_refuses_other_random_steps(steps, message):
    cfg = shipped('rotnet/nin4_cifar10.py')
    cfg.train_dataloader.dataset.pipeline = steps
    with pytest.raises(UserError, match=f'--in-memory.*{message}'):
        in_memory(cfg)
