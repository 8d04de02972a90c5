import os
import signal
from pathlib import Path

import pytest
import torch
from helpers import forget_jobs, logged, losses, tiny_config
from mmengine.config import Config
from mmengine.hooks import Hook

from mmrot.datasets import InfiniteBlockSampler
from mmrot.engine import Runner
from mmrot.engine.runner import _simple_sampler
from mmrot.errors import UserError
from mmrot.models import RotationPred
from mmrot.registry import MODELS


@MODELS.register_module(force=True)
class OwnRotationPred(RotationPred):
    """A user's subclass."""


class SignalHook(Hook):
    """Asks the job to stop in an iteration, counted from 0."""

    def __init__(self, iteration):
        self.iteration = iteration

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory) -> Path:
    """A checkpoint after one epoch."""
    work_dir = tmp_path_factory.mktemp('trained')
    Runner.from_cfg(tiny_config(work_dir)).train()
    forget_jobs()
    return work_dir / 'epoch_1.pth'


@pytest.mark.slow
@pytest.mark.family
def test_resumed_training_continues_epochs_and_losses(checkpoint, tmp_path):
    whole = tmp_path / 'whole'
    Runner.from_cfg(tiny_config(whole, **{'train_cfg.max_epochs': 2})).train()
    forget_jobs()  # jobs that start within one second share a visualizer
    rest = tmp_path / 'rest'
    changes = {'train_cfg.max_epochs': 2, 'resume': True, 'load_from': str(checkpoint)}
    Runner.from_cfg(tiny_config(rest, **changes)).train()
    assert [row['epoch'] for row in logged(rest) if 'loss' in row] == [2, 2]
    assert losses(checkpoint.parent) + losses(rest) == pytest.approx(losses(whole), rel=1e-6)
    resumed, expected = (
        torch.load(d / 'epoch_2.pth', weights_only=False)['state_dict'] for d in (rest, whole)
    )
    for key, value in expected.items():
        torch.testing.assert_close(resumed[key], value)


def test_config_is_written_by_training_only(checkpoint, tmp_path):
    written = Config.fromfile(checkpoint.parent / 'nin4_digits.py')
    assert written.model.backbone.width == 6
    Runner.from_cfg(tiny_config(tmp_path, load_from=str(checkpoint))).test()
    assert not (tmp_path / 'nin4_digits.py').exists()


@pytest.mark.parametrize('model', [RotationPred, OwnRotationPred])
def test_checkpoint_that_does_not_fit_raises(model, checkpoint, tmp_path):
    cfg = tiny_config(tmp_path, load_from=str(checkpoint), **{'model.backbone.num_blocks': 5})
    cfg.model.type = f'mmrot.{model.__name__}'
    with pytest.raises(UserError, match=r'(?s)epoch_1\.pth does not match the model.*block5'):
        Runner.from_cfg(cfg).train()
    assert not (tmp_path / 'nin4_digits.py').exists()


def test_weights_cannot_be_resumed(checkpoint, tmp_path):
    state = torch.load(checkpoint, weights_only=False)['state_dict']
    torch.save(dict(state_dict=state), tmp_path / 'weights.pth')
    cfg = tiny_config(tmp_path, resume=True, load_from=str(tmp_path / 'weights.pth'))
    with pytest.raises(UserError, match=r"weights\.pth has no 'meta', 'message_hub'"):
        Runner.from_cfg(cfg).train()


@pytest.mark.parametrize('wrapper', [None, 'RepeatDataset', 'ConcatDataset'])
@pytest.mark.parametrize('serialize_data', [True, False])
def test_empty_dataset_raises_with_its_folder(wrapper, serialize_data, tmp_path):
    (tmp_path / 'val.txt').touch()
    dataset = dict(
        type='mmpretrain.CustomDataset',
        data_root=str(tmp_path),
        ann_file='val.txt',
        serialize_data=serialize_data,
    )
    if wrapper == 'RepeatDataset':
        dataset = dict(type=wrapper, dataset=dataset, times=2)
    elif wrapper == 'ConcatDataset':
        dataset = dict(type=wrapper, datasets=[dataset])
    sampler = dict(type='DefaultSampler', shuffle=False)
    loader = dict(batch_size=1, num_workers=0, dataset=dataset, sampler=sampler)
    with pytest.raises(UserError, match='has no images') as error:
        Runner.build_dataloader(loader)
    if wrapper is None or serialize_data:
        expected = f'CustomDataset with data_root={tmp_path}, ann_file=val.txt has'
        assert expected in str(error.value)


def test_error_in_dataset_is_not_taken_for_an_empty_one():
    class Broken(torch.utils.data.Dataset):
        def __init__(self) -> None:
            raise ValueError('a bug')

    sampler = dict(type='DefaultSampler', shuffle=False)
    loader = dict(batch_size=1, dataset=dict(type=Broken), sampler=sampler)
    with pytest.raises(ValueError, match='a bug') as error:
        Runner.build_dataloader(loader)
    assert not isinstance(error.value, UserError)


def test_more_processes_than_gpus_raise(monkeypatch, tmp_path):
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '3')
    monkeypatch.setattr('torch.cuda.device_count', lambda: 2)
    with pytest.raises(
        UserError, match=r'3 processes were started on this machine, which has only 2'
    ):
        Runner.from_cfg(tiny_config(tmp_path, launcher='pytorch'))


def test_resume_warns_of_settings_that_the_checkpoint_overrides(checkpoint, tmp_path, caplog):
    def resumed(**changes) -> str:
        cfg = tiny_config(tmp_path, **changes, load_from=str(checkpoint), resume=True)
        runner = Runner.from_cfg(cfg)
        runner._train_loop = runner.build_train_loop(runner._train_loop)
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
        warned: list[str] = []
        runner.logger.warning = warned.append
        runner.load_or_resume()
        return ''.join(warned)

    assert 'keeps' not in resumed()
    cfg = tiny_config(tmp_path)
    optimizer = dict(cfg.optim_wrapper.optimizer)
    lr = optimizer['lr']
    message = resumed(optim_wrapper=dict(optimizer={**optimizer, 'lr': 10 * lr}))
    assert f'lr stays {lr}, not {10 * lr} as in the config' in message
    assert f'--load-from {checkpoint} and another --work-dir' in message


def test_interrupted_validation_is_repeated(checkpoint, tmp_path):
    state = torch.load(checkpoint, weights_only=False)
    state['meta']['validation_missing'] = True
    torch.save(state, tmp_path / 'iter_2.pth')
    cfg = tiny_config(tmp_path, resume=True, **{'train_cfg.max_epochs': 2})
    Runner.from_cfg(cfg).train()
    assert ['loss' in row for row in logged(tmp_path)] == [False, True, True, False]


def test_signal_waits_for_accumulated_gradients(tmp_path):
    """Of four iterations, the optimizer steps after the second and the fourth."""
    cfg = tiny_config(tmp_path, **{'train_cfg.max_epochs': 2})
    cfg.optim_wrapper.accumulative_counts = 2
    runner = Runner.from_cfg(cfg)
    runner.register_hook(SignalHook(iteration=2))
    with pytest.raises(SystemExit) as stopped:
        runner.train()
    assert stopped.value.code == 128 + signal.SIGTERM
    assert [path.name for path in tmp_path.glob('iter_*.pth')] == ['iter_4.pth']


@pytest.mark.parametrize('seed', ['text', -1, 2**32, 0.5])
def test_invalid_seed_is_named_and_leaves_no_folder(seed, tmp_path):
    cfg = tiny_config(tmp_path / 'runs/seed', **{'randomness.seed': seed})
    with pytest.raises(UserError, match=rf'^randomness.seed={seed} is not an integer from 0 to '):
        Runner.from_cfg(cfg)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('sampler', 'seeded'),
    [
        (dict(type='DefaultSampler'), True),
        (dict(type='mmengine.InfiniteSampler'), True),
        (dict(type='mmrot.BlockSampler'), True),
        (dict(type='BlockSampler', _scope_='mmrot'), True),
        (dict(type=InfiniteBlockSampler), True),
        (dict(type='mmpretrain.RepeatAugSampler'), False),
    ],
)
def test_samplers_that_are_seeded(sampler, seeded):
    assert _simple_sampler(dict(sampler=sampler)) is seeded
    assert not _simple_sampler(dict(sampler=sampler, batch_sampler=dict(type='BatchSampler')))
