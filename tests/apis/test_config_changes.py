from pathlib import Path

import pytest
from helpers import shipped
from mmengine.config import Config

from mmrot.apis import (
    in_memory,
    with_amp,
    with_backbone,
    with_drawing,
    with_image_folder,
    with_loader_defaults,
    with_monitors,
    with_options,
    with_result_table,
    with_tta,
    with_vis_backends,
)
from mmrot.errors import UserError

BFLOAT16 = {'type': 'mmrot.BFloat16OptimWrapper'}
FLOAT16 = {'type': 'AmpOptimWrapper', 'loss_scale': 'dynamic'}
DETECTOR = dict(
    default_scope='mmdet',
    model=dict(type='FasterRCNN'),
    optim_wrapper=dict(type='OptimWrapper'),
)


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


@pytest.mark.parametrize(
    ('device', 'dtype', 'message'),
    [
        ('cpu', None, 'on a CPU, train without --amp'),
        ('cuda', 'bfloat16', 'use float16'),
    ],
)
def test_with_amp_rejects_bfloat16_for_detectors(device, dtype, message, monkeypatch):
    monkeypatch.setattr('mmrot.apis.config_changes.get_device', lambda: device)
    cfg = Config(DETECTOR)
    with pytest.raises(UserError, match=f'detectors cannot be trained in bfloat16.*{message}'):
        with_amp(cfg, dtype)


@pytest.mark.parametrize('dtype', [None, 'float16'])
def test_with_amp_trains_detectors_in_float16_on_a_gpu(dtype, monkeypatch):
    monkeypatch.setattr('mmrot.apis.config_changes.get_device', lambda: 'cuda')
    monkeypatch.setattr('mmrot.apis.config_changes.has_bfloat16', lambda: True)
    assert with_amp(Config(DETECTOR), dtype).optim_wrapper == FLOAT16


def test_with_amp_pretrains_in_bfloat16_in_the_scope_of_mmdet(monkeypatch):
    monkeypatch.setattr('mmrot.apis.config_changes.get_device', lambda: 'cpu')
    cfg = Config({**DETECTOR, 'model': dict(type='mmrot.RotationPred')})
    assert with_amp(cfg).optim_wrapper == BFLOAT16


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
