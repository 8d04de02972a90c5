from types import SimpleNamespace

import pytest
import torch
from helpers import forget_jobs, tiny_config

from mmrot.engine import Runner
from mmrot.engine.hooks import CheckLossHook
from mmrot.errors import UserError


def test_training_that_diverges_stops_and_saves_nothing(tmp_path):
    Runner.from_cfg(tiny_config(tmp_path)).train()
    forget_jobs()
    changes = {'optim_wrapper.optimizer.lr': 1e30, 'train_cfg.max_epochs': 9}
    changes['load_from'] = str(tmp_path / 'epoch_1.pth')
    runner = Runner.from_cfg(tiny_config(tmp_path / 'b', **changes))
    with pytest.raises(UserError, match=r'not finite in iteration \d\. There is no checkpoint'):
        runner.train()
    assert [*(tmp_path / 'b').glob('*.pth')] == []


def test_first_iteration_is_named_when_checks_are_rare(tmp_path, monkeypatch):
    hook = CheckLossHook()
    monkeypatch.setattr(hook, '_check', lambda runner: None)
    for iteration, loss in enumerate([1.0, float('nan'), 2.0, float('inf')]):
        runner = SimpleNamespace(iter=iteration, work_dir=tmp_path)
        hook.after_train_iter(runner, iteration, outputs={'loss': torch.tensor(loss)})
    monkeypatch.undo()
    (tmp_path / 'epoch_3.pth').touch()
    with pytest.raises(UserError, match=r'iteration 2\. The last checkpoint is .*epoch_3\.pth'):
        hook.after_train_epoch(SimpleNamespace(work_dir=tmp_path))
