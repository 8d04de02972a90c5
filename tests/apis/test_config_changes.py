from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import write_photo
from mmengine.config import Config
from mmengine.registry import DATASETS, TRANSFORMS
from mmpretrain.datasets.transforms import RandomCrop, RandomResizedCrop

import mmrot
from mmrot.apis import (
    cached_images,
    in_memory,
    with_amp,
    with_backbone,
    with_data_root,
    with_drawing,
    with_image_folder,
    with_image_size,
    with_labelled_folder,
    with_loader_defaults,
    with_monitors,
    with_options,
    with_result_table,
    with_tta,
    with_vis_backends,
)
from mmrot.datasets import Shards
from mmrot.datasets.pack import pack_photos
from mmrot.errors import UserError

PRETRAINING = [name for name in mmrot.list_configs() if not name.startswith('benchmarks/')]


def shipped(name: str) -> Config:
    return Config.fromfile(mmrot.config_path(name))


def probe(name: str) -> Config:
    return shipped(f'benchmarks/classification/{name}.py')


@pytest.mark.parametrize(
    'change',
    [
        lambda cfg, folder: with_image_folder(cfg, folder),
        lambda cfg, folder: in_memory(cfg),
        lambda cfg, folder: with_amp(cfg),
        lambda cfg, folder: with_loader_defaults(cfg),
        lambda cfg, folder: with_options(cfg, {'model.angles': (0, 180)}),
    ],
    ids=['with_image_folder', 'in_memory', 'with_amp', 'with_loader_defaults', 'with_options'],
)
def test_change_leaves_the_original_config_untouched(change, photo_folder):
    cfg = shipped('rotnet/nin4_digits.py')
    changed = change(cfg, str(photo_folder))
    assert changed.to_dict() != cfg.to_dict()
    assert cfg.to_dict() == shipped('rotnet/nin4_digits.py').to_dict()
    assert changed.filename == cfg.filename


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
    with pytest.raises(UserError, match='data_root=c: no data set of the config is located in a'):
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
    ('ending', 'side', 'kind'),
    [
        ('jpg', 32, RandomResizedCrop),
        ('JPEG', 127, RandomResizedCrop),
        ('jpg', 128, RandomCrop),
        ('png', 32, RandomCrop),
    ],
)
def test_with_image_folder_resizes_crops_of_small_jpegs(ending, side, kind, tmp_path):
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a/0.jpg').write_bytes(b'damaged')
    write_photo(tmp_path / f'a/1.{ending}', np.random.default_rng(0), (side, 200))
    write_photo(tmp_path / 'b/0.jpg', np.random.default_rng(0), (300, 300))
    cfg = with_image_folder(shipped('rotnet/nin4_cifar10.py'), str(tmp_path))
    crop = TRANSFORMS.build(cfg.train_dataloader.dataset.pipeline[2])
    assert type(crop) is kind
    if kind is RandomResizedCrop:
        assert (crop.scale, crop.crop_ratio_range) == ((32, 32), (0.4, 1.0))
    for field in ('val_dataloader', 'test_dataloader'):
        assert cfg[field].dataset.pipeline[2].type.endswith('CenterCrop')
    in_memory(cfg)


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


def test_with_backbone_sets_the_hook_of_a_shipped_config():
    cfg = with_backbone(probe('nin4_conv_cifar10'), 'a, b.pth', trust=True)
    (hook,) = [
        hook
        for hook in [*(cfg.get('custom_hooks') or []), *cfg.default_hooks.values()]
        if hook['type'] == 'mmrot.LoadBackboneHook'
    ]
    assert (hook.checkpoint, hook.trust) == ('a, b.pth', True)


@pytest.mark.parametrize('place', ['default_hooks', 'custom_hooks'])
def test_with_backbone_finds_the_hook_in_both_places(place):
    hook = dict(type='mmrot.LoadBackboneHook', checkpoint=None, rescale=64)
    hooks = dict(load_backbone=hook) if place == 'default_hooks' else [dict(type='EMAHook'), hook]
    model = dict(backbone=dict(type='ResNet'))
    cfg = with_backbone(Config({'default_hooks': {}, 'model': model, place: hooks}), 'a.pth')
    found = cfg[place]['load_backbone' if place == 'default_hooks' else 1]
    assert found == {**hook, 'checkpoint': 'a.pth', 'trust': False}


def test_evaluation_of_another_config_adds_the_hooks_and_drops_its_weights():
    pretrained = dict(type='Pretrained', checkpoint='torchvision://resnet50')
    cfg = Config(
        dict(
            default_scope='mmdet',
            model=dict(
                backbone=dict(type='ResNet', init_cfg=pretrained), pretrained='torchvision://r'
            ),
            custom_hooks=[dict(type='EMAHook')],
        )
    )
    changed = with_result_table(with_backbone(cfg, 'random'))
    assert changed.default_hooks.load_backbone == dict(
        type='mmrot.LoadBackboneHook', checkpoint='random', trust=False
    )
    assert changed.default_hooks.result_table == dict(type='mmrot.ResultTableHook')
    assert changed.model == dict(backbone=dict(type='ResNet'))
    assert len(changed.custom_hooks) == 1


def test_own_hook_in_custom_hooks_gets_its_table_beside_it():
    """The runner ignores mmrot's hooks in default_hooks if custom_hooks has one of them."""
    cfg = Config(
        dict(
            model=dict(backbone=dict(type='ResNet')),
            custom_hooks=[dict(type='mmrot.LoadBackboneHook')],
        )
    )
    changed = with_result_table(with_backbone(cfg, 'a.pth'))
    assert [hook.type for hook in changed.custom_hooks] == [
        'mmrot.LoadBackboneHook',
        'mmrot.ResultTableHook',
    ]
    assert changed.custom_hooks[0].checkpoint == 'a.pth'


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(load_from='coco.pth'), 'the config also loads coco.pth'),
        (dict(model=dict(type='GAN')), 'the config has no model.backbone'),
    ],
)
def test_with_backbone_refuses_another_origin_and_another_model(change, message):
    cfg = Config({'model': dict(backbone=dict(type='ResNet')), **change})
    with pytest.raises(UserError, match=message):
        with_backbone(cfg, 'x')


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
    with pytest.raises(UserError, match='the pipeline of train_dataloader does not begin with'):
        cached_images(shipped('rotnet/nin4_cifar10.py'), 'cache')
    cfg = shipped('rotnet_alexnet_in1k.py')
    cfg.val_dataloader.dataset.pipeline[1].interpolation = 'bicubic'
    with pytest.raises(UserError, match=r'the pipeline of val_dataloader .* has no bilinear'):
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


BFLOAT16 = {'type': 'mmrot.BFloat16OptimWrapper'}
FLOAT16 = {'type': 'AmpOptimWrapper', 'loss_scale': 'dynamic'}


@pytest.mark.parametrize(
    ('device', 'supported', 'dtype', 'wrapper'),
    [
        ('cpu', False, None, BFLOAT16),
        ('cuda', True, None, BFLOAT16),
        ('cuda', False, None, FLOAT16),
        ('cuda', True, 'float16', FLOAT16),
        ('cuda', False, 'bfloat16', BFLOAT16),
    ],
)
def test_with_amp_depends_on_the_device(device, supported, dtype, wrapper, monkeypatch):
    monkeypatch.setattr('mmrot.apis.config_changes.get_device', lambda: device)
    monkeypatch.setattr('mmrot.apis.config_changes.has_bfloat16', lambda: supported)
    cfg = with_amp(Config({'optim_wrapper': {'type': 'OptimWrapper'}}), dtype)
    assert cfg.optim_wrapper == wrapper


def test_with_amp_rejects_float16_on_a_cpu(monkeypatch):
    monkeypatch.setattr('mmrot.apis.config_changes.get_device', lambda: 'cpu')
    with pytest.raises(UserError, match='float16 needs a GPU'):
        with_amp(Config({'optim_wrapper': {'type': 'OptimWrapper'}}), 'float16')


def test_with_vis_backends_adds_to_those_of_the_config(monkeypatch):
    monkeypatch.setattr('mmrot.apis.config_changes.find_spec', lambda name: name)
    cfg = with_vis_backends(shipped('rotnet/nin4_digits.py'), ['tensorboard', 'wandb'])
    kinds = [f'mmengine.{kind}VisBackend' for kind in ('Local', 'Tensorboard', 'Wandb')]
    assert [backend.type for backend in cfg.visualizer.vis_backends] == kinds
    assert cfg.default_hooks.logger.log_metric_by_epoch is False
    assert with_vis_backends(cfg, ['wandb']).visualizer == cfg.visualizer
    bare = with_vis_backends(Config(), ['tensorboard'])
    assert [backend.type for backend in bare.visualizer.vis_backends] == kinds[:2]


def test_with_vis_backends_names_the_missing_package(monkeypatch):
    monkeypatch.setattr('mmrot.apis.config_changes.find_spec', lambda name: None)
    with pytest.raises(UserError, match='--vis wandb needs a package: pip install wandb'):
        with_vis_backends(Config(), ['wandb'])


def test_with_tta_wraps_model_and_pipeline():
    cfg = Config(
        dict(
            model=dict(type='M'),
            tta_model=dict(type='T'),
            tta_pipeline=[1],
            test_dataloader=dict(dataset=dict(pipeline=[2])),
        )
    )
    cfg = with_tta(cfg)
    assert cfg.model == dict(type='T', module=dict(type='M'))
    assert cfg.test_dataloader.dataset.pipeline == [1]
    with pytest.raises(UserError, match='--tta: the config has no tta_model'):
        with_tta(Config({}))


@pytest.mark.parametrize(
    ('scope', 'expected'),
    [
        ('mmpretrain', {'enable': True, 'out_dir': 'out'}),
        ('mmdet', {'draw': True, 'test_out_dir': 'out'}),
        ('mmseg', {'draw': True}),
    ],
)
def test_with_drawing_configures_the_hook_of_the_host(scope, expected):
    hook = dict(visualization=dict(type='V'))
    cfg = Config(dict(default_scope=scope, default_hooks=hook, visualizer=dict(type='W')))
    cfg = with_drawing(cfg, out_dir='out', interval=3, wait_time=1.0)
    common = {'type': 'V', 'show': False, 'interval': 3, 'wait_time': 1.0}
    assert cfg.default_hooks.visualization == {**common, **expected}
    assert cfg.visualizer.get('save_dir') == ('out' if scope == 'mmseg' else None)


def test_with_drawing_refuses_a_config_without_the_hook():
    with pytest.raises(UserError, match=r'the config has no default_hooks\.visualization'):
        with_drawing(Config(dict(default_hooks={})), show=True)


def test_with_loader_defaults_completes_only_mmpretrain():
    loader = dict(dataset=dict(), num_workers=1)
    cfg = with_loader_defaults(Config(dict(default_scope='mmdet', train_dataloader=loader)))
    assert 'collate_fn' not in cfg.train_dataloader
    cfg = with_loader_defaults(Config(dict(default_scope='mmpretrain', train_dataloader=loader)))
    assert cfg.train_dataloader.collate_fn == dict(type='default_collate')
    assert cfg.train_dataloader.persistent_workers
    cfg = with_loader_defaults(cfg, pin_memory=False, persistent_workers=False)
    assert not cfg.train_dataloader.pin_memory
    assert not cfg.train_dataloader.persistent_workers


def test_with_options_applies_validation_settings_to_testing(tmp_path):
    path = Path(tmp_path, 'config.py')
    path.write_text(
        "val_dataloader = dict(dataset=dict(type='A'), batch_size=1)\n"
        'test_dataloader = val_dataloader\n'
        "val_evaluator = dict(type='M')\n"
        "test_evaluator = dict(type='N')\n"
    )
    options = {'val_dataloader.batch_size': 5, 'val_evaluator.k': 2}
    cfg = with_options(Config.fromfile(path), options)
    assert cfg.val_dataloader.batch_size == cfg.test_dataloader.batch_size == 5
    assert (cfg.val_evaluator.k, cfg.test_evaluator) == (2, dict(type='N'))
    cfg = with_options(Config.fromfile(path), {**options, 'test_dataloader.batch_size': 7})
    assert (cfg.val_dataloader.batch_size, cfg.test_dataloader.batch_size) == (5, 7)


def test_with_options_turns_off_persistent_workers_without_workers():
    loader = dict(dataset=dict(), num_workers=2, persistent_workers=True)
    cfg = with_options(Config(dict(train_dataloader=loader)), {'train_dataloader.num_workers': 0})
    assert cfg.train_dataloader.persistent_workers is False


def test_monitors_read_the_labelled_folder(labelled_folder):
    cfg = shipped('rotnet/photos.py')
    hooks = with_monitors(cfg, ['rank', 'knn'], str(labelled_folder)).default_hooks
    assert hooks.rank_monitor == dict(type='mmrot.RankMonitor')
    assert hooks.knn_monitor.train_dataset.data_prefix == 'train'
    assert hooks.knn_monitor.test_dataset.data_prefix == 'test'
    cfg.default_scope = 'mmdet'
    with pytest.raises(UserError, match='--monitor needs a config of pretraining'):
        with_monitors(cfg, ['rank'])
