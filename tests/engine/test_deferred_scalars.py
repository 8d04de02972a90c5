import pytest
import torch
from helpers import forget_jobs, losses, tiny_config
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from mmrot.engine import Runner
from mmrot.engine.deferred_scalars import DeferredScalars

READS = {'item', 'tolist', 'cpu', 'numpy', '__bool__', '__float__', '__int__', '__index__'}


class Dispatched(TorchDispatchMode):
    def __init__(self, found):
        super().__init__()
        self.found = found

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default):
            self.found.append(str(func))
        return func(*args, **(kwargs or {}))


class Called(TorchFunctionMode):
    def __init__(self, found):
        super().__init__()
        self.found = found

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if getattr(func, '__name__', '') in READS:
            self.found.append(func.__name__)
        return func(*args, **(kwargs or {}))


class WatchReads(Hook):
    """Lists what reads a tensor in each iteration, from loading the batch to the last hook."""

    priority = 100  # the last

    def __init__(self):
        self.reads = []
        self.modes = ()

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.reads.append([])
        self.modes = Called(self.reads[-1]), Dispatched(self.reads[-1])
        for mode in self.modes:
            mode.__enter__()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        for mode in reversed(self.modes):
            mode.__exit__(None, None, None)


@pytest.fixture
def waiting(monkeypatch):
    """Treat tensors on the CPU like those on a GPU."""
    for module in ('deferred_scalars', 'hooks.check_loss_hook'):
        monkeypatch.setattr(f'mmrot.engine.{module}.must_wait', lambda tensor: True)


def train(folder):
    cfg = tiny_config(
        folder, **{'default_hooks.logger.interval': 3, 'train_dataloader.batch_size': 1}
    )
    cfg.default_hooks.check_loss.interval = 3
    runner = Runner.from_cfg(cfg)
    hook = WatchReads()
    runner.register_hook(hook)
    runner.train()
    forget_jobs()
    return hook.reads


@pytest.mark.parametrize('deferred', [True, False])
def test_no_step_reads_from_the_device_between_logs(deferred, tmp_path, request):
    if deferred:
        request.getfixturevalue('waiting')
    reads = train(tmp_path)
    assert len(reads) == 8
    for iteration, found in enumerate(reads, start=1):
        assert bool(found) == (iteration % 3 == 0 or not deferred), (iteration, found)


def test_deferred_losses_are_those_of_every_iteration(tmp_path, request):
    train(tmp_path / 'plain')
    request.getfixturevalue('waiting')
    train(tmp_path / 'deferred')
    assert losses(tmp_path / 'deferred') == losses(tmp_path / 'plain')
    for name in ('plain', 'deferred'):
        checkpoint = torch.load(tmp_path / name / 'epoch_1.pth', weights_only=False)
        history, counts = checkpoint['message_hub']['log_scalars']['train/loss'].data
        assert len(history) == len(counts) == 8
        if name == 'plain':
            expected = history.tolist()
        else:
            assert history.tolist() == expected


def test_reading_one_scalar_does_not_wait_for_others(waiting):
    hub = MessageHub('one')
    DeferredScalars.convert(hub)
    hub.update_scalar('time', 0.5)
    hub.update_scalar('loss', torch.tensor(2.0))
    hub.update_scalar('loss', torch.tensor(3.0, dtype=torch.bfloat16), count=2)
    assert hub.get_scalar('time').current() == 0.5
    assert len(hub._pending) == 2
    assert hub.get_scalar('loss').data[0].tolist() == [2, 3]
    assert hub.get_scalar('loss').data[1].tolist() == [1, 2]
    assert not hub._pending
    with pytest.raises(KeyError, match='accuracy is not found'):
        hub.get_scalar('accuracy')


def test_value_is_that_of_the_time_of_the_call(waiting):
    hub = MessageHub('changed')
    DeferredScalars.convert(hub)
    loss = torch.tensor(1.0)
    hub.update_scalar('loss', loss)
    loss += 5
    assert hub.get_scalar('loss').current() == 1
    with pytest.raises(AssertionError):
        hub.update_scalar('loss', torch.ones(2))
