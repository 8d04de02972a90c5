"""A resumed run equals an uninterrupted one bit for bit (on a CPU)."""

import shutil

import pytest
import torch
from helpers import forget_jobs, tiny_config

from mmrot.apis import cached_images, in_memory, with_image_folder
from mmrot.datasets.pack import pack_photos
from mmrot.engine import Runner

AUGMENTED = [
    dict(type='mmpretrain.RandomCrop', crop_size=16, padding=2),
    dict(type='mmpretrain.RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='mmpretrain.PackInputs'),
]


def train(work_dir, changes, memory=False, loop=None):
    cfg = tiny_config(
        work_dir,
        **{
            'train_dataloader.dataset.pipeline': AUGMENTED,
            'train_dataloader.dataset.indices': 10,
            'train_cfg.max_epochs': 3,
            **changes,
        },
    )
    if loop:
        cfg.train_cfg = loop
        cfg.param_scheduler = []
    if memory:
        cfg = in_memory(cfg)
    Runner.from_cfg(cfg).train()
    forget_jobs()


def state(file):
    content = torch.load(file, weights_only=False)
    momenta = content['optimizer']['state']
    return {
        **content['state_dict'],
        **{f'momentum {key}': value['momentum_buffer'] for key, value in momenta.items()},
    }


def assert_equal(file, other):
    ours, theirs = state(file), state(other)
    assert ours.keys() == theirs.keys()
    assert [key for key in ours if not torch.equal(ours[key], theirs[key])] == []


@pytest.mark.parametrize(
    ('seed', 'memory'),
    [(0, False), (None, False), (0, True)],
    ids=['seed', 'no seed', 'in memory'],
)
def test_resume_after_an_epoch_and_within_one(seed, memory, tmp_path):
    """Three epochs of three iterations; the checkpoint of iteration 4 is in the second."""
    changes = {
        'randomness.seed': seed,
        'default_hooks.checkpoint.by_epoch': False,
        'default_hooks.checkpoint.max_keep_ckpts': -1,
    }
    whole = tmp_path / 'whole'
    train(whole, changes, memory)
    for iteration in (3, 4):
        rest = tmp_path / f'from_{iteration}'
        rest.mkdir()
        shutil.copy(whole / f'iter_{iteration}.pth', rest)
        train(rest, {**changes, 'resume': True}, memory)
        assert_equal(rest / 'iter_9.pth', whole / 'iter_9.pth')


@pytest.mark.slow
def test_workers_do_not_change_the_weights(tmp_path):
    changes = {'randomness.seed': 1, 'train_cfg.max_epochs': 2}
    train(tmp_path / 'a', changes)
    for persistent in (True, False):
        workers = {
            'train_dataloader.num_workers': 2,
            'train_dataloader.persistent_workers': persistent,
        }
        train(tmp_path / f'{persistent}', {**changes, **workers})
        assert_equal(tmp_path / f'{persistent}/epoch_2.pth', tmp_path / 'a/epoch_2.pth')


def test_resume_of_a_run_by_iterations(tmp_path):
    changes = {
        'train_dataloader.sampler.type': 'mmengine.InfiniteSampler',
        'default_hooks.checkpoint.by_epoch': False,
        'default_hooks.checkpoint.max_keep_ckpts': -1,
        'log_processor': dict(by_epoch=False),
    }
    loop = dict(by_epoch=False, max_iters=7, val_interval=5)
    whole, rest = tmp_path / 'whole', tmp_path / 'rest'
    train(whole, changes, loop=loop)
    rest.mkdir()
    shutil.copy(whole / 'iter_4.pth', rest)
    train(rest, {**changes, 'resume': True}, loop=loop)
    assert_equal(rest / 'iter_7.pth', whole / 'iter_7.pth')


@pytest.mark.parametrize('infinite', [False, True], ids=['epochs', 'iterations'])
def test_resume_on_shards_with_other_workers(infinite, photo_folder, tmp_path):
    """A run on 8 shards is resumed on 3, with 2 workers instead of none."""
    for count in (8, 3):
        pack_photos(photo_folder, tmp_path / f'{count}', shard_size=24 // count)
    pipeline = [dict(type='mmrot.LoadImage'), *AUGMENTED]
    changes = {
        'train_dataloader.batch_size': 8,
        'train_dataloader.sampler.block_size': 4,
        'train_dataloader.sampler.window': 2,
        'train_dataloader.sampler.type': f'mmrot.{"Infinite" * infinite}BlockSampler',
        'default_hooks.checkpoint.by_epoch': False,
        'default_hooks.checkpoint.max_keep_ckpts': -1,
    }
    loop = None
    if infinite:
        changes['log_processor'] = dict(by_epoch=False)
        loop = dict(by_epoch=False, max_iters=7, val_interval=5)

    def run(name, shards, **more):
        data = dict(
            _delete_=True,
            type='mmrot.Shards',
            data_root=str(tmp_path / shards),
            pipeline=pipeline,
        )
        train(tmp_path / name, {**changes, **more, 'train_dataloader.dataset': data}, loop=loop)

    run('whole', '8')
    (tmp_path / 'rest').mkdir()
    shutil.copy(tmp_path / 'whole/iter_4.pth', tmp_path / 'rest')
    run('rest', '3', **{'resume': True, 'train_dataloader.num_workers': 2})
    last = f'iter_{7 if infinite else 9}.pth'
    assert_equal(tmp_path / 'rest' / last, tmp_path / 'whole' / last)


def test_cached_images_leave_training_as_it_is(photo_folder, tmp_path):
    """Without a cached image, with all of them and other workers, and resumed: equal weights."""

    def train_cached(name, workers=0, **changes):
        resized = dict(type='mmpretrain.ResizeEdge', scale=16, backend='pillow')
        crop = dict(type='mmpretrain.RandomResizedCrop', scale=16, backend='pillow')
        fixed = [resized, dict(type='mmpretrain.CenterCrop', crop_size=16), AUGMENTED[-1]]
        cfg = tiny_config(tmp_path / name, **{'train_cfg.max_epochs': 2, **changes})
        cfg.train_dataloader.dataset.pipeline = [crop, *AUGMENTED[1:]]
        cfg.val_dataloader.dataset.pipeline = cfg.test_dataloader.dataset.pipeline = fixed
        cfg.train_dataloader.num_workers = workers
        cfg = with_image_folder(cfg, str(photo_folder))
        Runner.from_cfg(cached_images(cfg, str(tmp_path / 'cache'))).train()
        forget_jobs()

    train_cached('cold')
    assert len([path for path in (tmp_path / 'cache').rglob('*') if path.is_file()]) == 24
    train_cached('warm', workers=2)
    assert_equal(tmp_path / 'cold/epoch_2.pth', tmp_path / 'warm/epoch_2.pth')
    (tmp_path / 'resumed').mkdir()
    shutil.copy(tmp_path / 'cold/epoch_1.pth', tmp_path / 'resumed')
    train_cached('resumed', resume=True)
    assert_equal(tmp_path / 'cold/epoch_2.pth', tmp_path / 'resumed/epoch_2.pth')
