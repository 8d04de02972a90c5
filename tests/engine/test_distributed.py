import os
from datetime import timedelta

import pytest
import torch
from helpers import run_ranks
from mmengine.dist import get_rank
from mmengine.model import MMDistributedDataParallel

from mmrot.engine import distributed
from mmrot.errors import UserError


@pytest.fixture
def environment(monkeypatch) -> dict[str, str]:
    """An environment without variables of launchers."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(('SLURM_', 'MASTER_', 'RANK'))}
    monkeypatch.setattr(os, 'environ', kept)
    return kept


def test_slurm_environment_is_translated(environment, monkeypatch):
    started = []
    monkeypatch.setattr(
        'torch.distributed.init_process_group',
        lambda backend, timeout: started.append((backend, timeout)),
    )
    environment.update(SLURM_PROCID='3', SLURM_NTASKS='4', SLURM_LOCALID='1', MASTER_ADDR='host')
    distributed.init_gloo('slurm')
    found = {k: environment[k] for k in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_PORT')}
    assert found == dict(RANK='3', WORLD_SIZE='4', LOCAL_RANK='1', MASTER_PORT='29500')
    distributed.init_gloo('slurm', 90)
    assert started == [('gloo', None), ('gloo', timedelta(seconds=90))]


def test_slurm_without_srun_raises(environment):
    with pytest.raises(UserError, match=r'--launcher slurm: .* SLURM_PROCID is not set'):
        distributed.init_gloo('slurm')


@pytest.fixture
def _gloo_group(tmp_path):
    store = torch.distributed.FileStore(str(tmp_path / 'store'), 1)
    torch.distributed.init_process_group('gloo', store=store, rank=0, world_size=1)
    yield
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@pytest.mark.usefixtures('_gloo_group')
def test_job_on_gloo_leaves_its_group_and_exits(monkeypatch):
    status = []
    monkeypatch.setattr(distributed, 'end_process', status.append)
    assert distributed.uses_gloo()
    distributed.leave_process_group()
    assert not torch.distributed.is_initialized()
    assert status == [0]
    distributed.leave_process_group()  # not distributed any more
    assert status == [0]


@pytest.mark.usefixtures('_gloo_group')
def test_unwrap_returns_the_model_itself():
    model = torch.nn.Linear(1, 1)
    wrapped = MMDistributedDataParallel(model, device_ids=None)
    assert distributed.unwrap(wrapped) is model
    assert distributed.unwrap(model) is model


def _restore_own_statistics(folder):
    norm = torch.nn.BatchNorm1d(2)
    norm.running_mean[:] = get_rank()
    group = torch.distributed.group.WORLD
    states = distributed.gather_statistics(norm, group)
    other = torch.nn.BatchNorm1d(2)
    distributed.load_statistics(other, states)
    assert other.running_mean.tolist() == [get_rank()] * 2
    other.running_mean[:] = 7
    distributed.load_statistics(other, states[:1])  # of a job with one process
    assert other.running_mean.tolist() == [7, 7]
    assert distributed.gather_statistics(other, group) is None  # equal


def test_each_process_resumes_its_own_statistics(tmp_path):
    run_ranks(_restore_own_statistics, 2, tmp_path)
