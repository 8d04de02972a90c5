import pytest
import torch
from torch import nn

from mmrot.engine.hooks import SyncBuffersHook


class FakeRunner:
    def __init__(self, model: nn.Module) -> None:
        self.model = model


def test_statistics_in_training_mode_are_averaged(monkeypatch):
    reduced = []
    monkeypatch.setattr(
        'mmrot.engine.hooks.sync_buffers_hook.all_reduce_params',
        lambda buffers, op: reduced.append((buffers, op)),
    )
    model = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(3), nn.Linear(1, 1)).train()
    model.register_buffer('mean', torch.ones(1))
    model[0].eval()  # frozen
    SyncBuffersHook().after_train_epoch(FakeRunner(model))
    ((buffers, op),) = reduced
    assert op == 'mean'
    assert [id(b) for b in buffers] == [id(b) for b in model[1].buffers()]


def test_statistics_of_one_process_stay_the_same():
    model = nn.BatchNorm2d(2).train()
    model.running_mean.fill_(3)
    SyncBuffersHook().after_train_epoch(FakeRunner(model))
    assert model.running_mean.tolist() == pytest.approx([3, 3])
