import random

import numpy as np
import pytest
import torch
from helpers import forget_jobs, logged, losses, run_ranks, tiny_config
from mmengine.config import Config
from torch import nn

import mmrot
from mmrot.apis import with_backbone, with_labelled_folder, with_monitors
from mmrot.config import config_path
from mmrot.engine.hooks import KNNMonitor, LinearMonitor, RankMonitor
from mmrot.engine.hooks.feature_monitor import (
    _averaged_statistics,
    _PooledStages,
    _preserved_random_state,
)
from mmrot.engine.runner import Runner
from mmrot.errors import UserError
from mmrot.evaluation.features import Features
from mmrot.evaluation.rank_me import rank_me
from mmrot.models import NIN, AlexNet, ResNet


def train(work_dir, folder, *names, **hook):
    forget_jobs()
    cfg = with_labelled_folder(Config.fromfile(config_path('rotnet/nin4_cifar10.py')), str(folder))
    cfg.work_dir = str(work_dir)
    cfg.model.backbone.width = cfg.model.head.in_channels = 12
    cfg.train_cfg.max_epochs = 2
    cfg.randomness = dict(seed=0)
    cfg.default_hooks.logger.interval = 1
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(batch_size=6, num_workers=0, persistent_workers=False, pin_memory=False)
    cfg = with_monitors(cfg, names)
    for name in names:
        cfg.default_hooks[f'{name}_monitor'].update(num_workers=0, **hook)
    if names:
        cfg.default_hooks.knn_monitor.k = 3
        cfg.default_hooks.checkpoint.save_best = 'knn/accuracy_block2'
    Runner.from_cfg(cfg).train()


@pytest.mark.slow
def test_monitors_log_metrics_and_leave_the_training_unchanged(labelled_folder, tmp_path):
    train(tmp_path / 'without', labelled_folder)
    stages = ['block2', 'block4']
    train(tmp_path / 'with', labelled_folder, 'knn', 'linear', 'rank', stages=stages)
    expected = losses(tmp_path / 'without')
    assert len(expected) == 4
    assert losses(tmp_path / 'with') == expected
    rows = [row for row in logged(tmp_path / 'with') if 'knn/accuracy_block2' in row]
    assert [(row['epoch'], row['step']) for row in rows] == [(0, 0), (1, 2), (2, 4)]
    assert rows[-1]['knn/accuracy_block2'] > 50  # three classes that differ in brightness
    for name in ('linear/accuracy_block4', 'rank/block4'):
        assert [name in row for row in logged(tmp_path / 'with')].count(True) == 3
    assert list((tmp_path / 'with').glob('best_knn_accuracy_block2_epoch_*.pth'))


def test_random_states_are_restored():
    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002

    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    with _preserved_random_state():
        inside = draw()
    assert draw() == inside


def test_stages_are_pooled_by_name():
    network = NIN(3, 12).eval()
    images = torch.rand(2, 3, 32, 32)
    (last,) = network(images)
    first = network.block1(images)
    assert _PooledStages(network, None).names == ['block3']
    torch.testing.assert_close(_PooledStages(network, None)(images)[0], last.mean((2, 3)))
    by_name = _PooledStages(network, ['block1', 'block3'])(images)
    torch.testing.assert_close(by_name, (first.mean((2, 3)), last.mean((2, 3))))
    with pytest.raises(UserError, match=r"no stage 'block9'\. It has block1, block2, block3"):
        _PooledStages(network, ['block9'])


def test_stages_are_outputs_of_the_same_name():
    network = AlexNet(('conv1', 'pool1', 'conv2', 'conv3')).eval()
    images = torch.rand(1, 3, 96, 96)
    expected = [x.mean((2, 3)) for x in network(images)]
    stages = _PooledStages(network, ['pool1', 'conv1', 'conv2'])(images)
    torch.testing.assert_close(stages, (expected[1], expected[0], expected[2]))
    assert _PooledStages(network, None).names == ['conv1', 'pool1', 'conv2', 'conv3']
    resnet = ResNet(18, out_indices=(0, 4))
    resnet.eval()
    assert _PooledStages(resnet, None).names == ['stem', 'layer4']
    torch.testing.assert_close(
        _PooledStages(resnet, ['stem', 'layer4'])(images), _PooledStages(resnet, None)(images)
    )
    assert RankMonitor(stages='block2').stages == ['block2']


def test_monitor_leaves_a_run_by_iterations_unchanged(tmp_path):
    steps = {}
    for name, monitors in (('without', []), ('with', ['rank'])):
        forget_jobs()
        cfg = tiny_config(tmp_path / name)
        cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=5, val_interval=2)
        cfg.param_scheduler = None
        cfg.default_hooks.checkpoint.update(by_epoch=False, interval=5)
        cfg.log_processor = dict(by_epoch=False)
        cfg = with_monitors(cfg, monitors)
        Runner.from_cfg(cfg).train()
        steps[name] = [r['step'] for r in logged(tmp_path / name) if 'rank/block4' in r]
    assert steps == {'without': [], 'with': [0, 2, 4, 5]}
    assert len(losses(tmp_path / 'with')) == 5
    assert losses(tmp_path / 'with') == losses(tmp_path / 'without')


def test_last_epoch_is_measured_and_best_checkpoint_follows_the_rank(tmp_path):
    changes = {'train_cfg.max_epochs': 3, 'train_cfg.val_interval': 1}
    cfg = with_monitors(tiny_config(tmp_path, **changes), ['rank'])
    cfg.default_hooks.rank_monitor.interval = 2
    cfg.default_hooks.checkpoint.save_best = 'rank/block4'
    Runner.from_cfg(cfg).train()
    rows = [row for row in logged(tmp_path) if 'rank/block4' in row]
    assert [row['epoch'] for row in rows] == [0, 2, 3]
    # the value of epoch 1 is that of the baseline; equal values do not replace the best one
    ranks = {1: rows[0], 2: rows[1], 3: rows[2]}
    best = max(ranks, key=lambda epoch: ranks[epoch]['rank/block4'])
    assert [path.name for path in tmp_path.glob('best*')] == [f'best_rank_block4_epoch_{best}.pth']


def test_baseline_is_that_of_the_loaded_backbone(tmp_path):
    torch.manual_seed(3)
    network = NIN(4, 6)
    torch.save(network.state_dict(), tmp_path / 'backbone.pth')
    cfg = with_backbone(tiny_config(tmp_path / 'run'), str(tmp_path / 'backbone.pth'))
    cfg = with_monitors(cfg, ['rank'])
    Runner.from_cfg(cfg).train()
    first, *_ = [row['rank/block4'] for row in logged(tmp_path / 'run') if 'rank/block4' in row]
    found = mmrot.extract_features(cfg, tmp_path / 'backbone.pth', split='train')
    assert first == pytest.approx(rank_me(found.stages['block4']), rel=1e-4)


def test_unknown_metrics_are_named_before_the_first_iteration(tmp_path):
    cfg = with_monitors(tiny_config(tmp_path), ['rank'])
    cfg.default_hooks.checkpoint.save_best = 'rank/block9'
    with pytest.raises(UserError, match='rank/block9 is not logged; RankMonitor logs rank/block4'):
        Runner.from_cfg(cfg).train()
    assert not list(tmp_path.glob('*.pth'))


@pytest.mark.parametrize('argument', ['interval', 'num_images'])
def test_arguments_are_positive(argument):
    with pytest.raises(UserError, match=f'{argument}=0 is below 1'):
        RankMonitor(**{argument: 0})


def features(vectors, labels):
    labels = np.array(labels)
    return Features({'last': np.array(vectors, np.float32)}, [''] * len(labels), labels, ())


def test_knn_monitor_weights_the_votes():
    # one neighbour of class 0 at an angle of 0, two of class 1 at 60 degrees
    train = features([[1, 0], [0.5, 0.75**0.5], [0.5, -(0.75**0.5)]], [0, 1, 1])
    test = features([[1, 0]] * 4, [0, 0, 0, 1])
    data = {'train': train, 'test': test}
    assert KNNMonitor(k=3).evaluate(data) == {'accuracy_last': 75}
    assert KNNMonitor(k=3, temperature=None).evaluate(data) == {'accuracy_last': 25}
    assert KNNMonitor(k=3, temperature=1.0).evaluate(data) == {'accuracy_last': 25}
    assert KNNMonitor(k=1, temperature=None).evaluate(data) == {'accuracy_last': 75}


@pytest.mark.parametrize('count', [30, 3000])
def test_linear_monitor_is_fitted_to_the_training_set_and_scored_on_the_test_set(count):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, count)
    vectors = np.eye(3)[labels] + rng.normal(scale=0.1, size=(count, 3))
    train = features(100 * vectors, labels)  # features are standardised
    # three of four test images have the class of their features
    test = features(100 * np.eye(3)[[0, 1, 2, 0]], [0, 1, 2, 2])
    assert LinearMonitor().evaluate({'train': train, 'test': test}) == {'accuracy_last': 75}
    assert LinearMonitor().evaluate({'train': train, 'test': train}) == {'accuracy_last': 100}
    one = features(np.ones((5, 3)), [1] * 5)
    with pytest.raises(UserError, match='at least 2 classes'):
        LinearMonitor().evaluate({'train': one, 'test': test})


def _average_in_two_ranks(folder) -> None:
    rank = torch.distributed.get_rank()
    network = nn.BatchNorm2d(2)
    network.running_mean.fill_(rank * 4)
    with _averaged_statistics(network):
        assert network.running_mean.tolist() == [2, 2]
    assert network.running_mean.tolist() == [rank * 4] * 2


@pytest.mark.slow
def test_statistics_are_averaged_and_restored(tmp_path):
    run_ranks(_average_in_two_ranks, 2, tmp_path)


def _train_in_two_ranks(folder) -> None:
    runs = {}
    for name, monitors in (('without', []), ('with', ['rank'])):
        forget_jobs()
        cfg = with_monitors(tiny_config(folder / name), monitors)
        cfg.launcher = 'pytorch'
        runner = Runner.from_cfg(cfg)
        runner.train()
        runs[name] = [value.clone() for value in runner.model.module.state_dict().values()]
    assert all(map(torch.equal, runs['with'], runs['without']))
    if torch.distributed.get_rank() == 0:
        assert len(losses(folder / 'with')) == 1  # 8 images in batches of 4 on 2 processes
        assert losses(folder / 'with') == losses(folder / 'without')
        ranks = [row['rank/block4'] for row in logged(folder / 'with') if 'rank/block4' in row]
        assert len(ranks) == 2
        assert all(1 <= value <= 4 for value in ranks)  # of the 4 test images


@pytest.mark.slow
def test_monitor_leaves_two_processes_unchanged(tmp_path):
    run_ranks(_train_in_two_ranks, 2, tmp_path)


def test_data_without_labels_are_refused(photo_folder, tmp_path):
    cfg = Config.fromfile(config_path('rotnet/photos.py'))
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = str(photo_folder)
        loader.update(num_workers=0, persistent_workers=False, pin_memory=False)
    cfg.work_dir = str(tmp_path / 'run')
    with pytest.raises(UserError, match=r'train data of type ImageFolder have none\..*--labelled'):
        Runner.from_cfg(with_monitors(cfg, ['knn'])).train()
