from argparse import Namespace

import pytest

from mmrot.cli.launch import launch
from mmrot.errors import UserError


@pytest.fixture
def started(monkeypatch) -> list[Namespace]:
    """What torchrun was called with, on a machine with two GPUs."""
    calls: list[Namespace] = []
    monkeypatch.setattr('mmrot.cli.launch.run', calls.append)
    monkeypatch.setattr('torch.cuda.device_count', lambda: 2)
    for name in ('NNODES', 'NODE_RANK', 'MASTER_ADDR', 'PORT', 'TORCHELASTIC_RUN_ID'):
        monkeypatch.delenv(name, raising=False)
    return calls


def summary(args: Namespace) -> tuple:
    return args.nnodes, args.node_rank, args.nproc_per_node, args.master_addr, args.master_port


@pytest.mark.parametrize(
    ('gpus', 'launcher'), [(None, 'none'), (1, 'none'), (2, 'slurm')], ids=str
)
def test_launch_leaves_the_job_to_this_process(gpus, launcher, started):
    args = Namespace(gpus=gpus, launcher=launcher)
    assert not launch(args, 'train', ['c.py'])
    assert (started, args.launcher) == ([], launcher)


def test_launch_starts_torchrun_on_this_machine(started):
    arguments = ['c.py', '--gpus', '2', '--monitor', 'rank']  # torchrun has --monitor-interval
    assert launch(Namespace(gpus=2, launcher='none'), 'train', arguments)
    assert summary(started[0]) == ('1', 0, '2', '127.0.0.1', 29500)
    assert (started[0].module, started[0].training_script) == (True, 'mmrot.cli')
    assert started[0].training_script_args == ['train', *arguments]


def test_launch_starts_one_process_per_node_on_several_nodes(started, monkeypatch):
    env = dict(NNODES='2', NODE_RANK='1', MASTER_ADDR='10.0.0.1', PORT='1234')
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert launch(Namespace(gpus=1, launcher='none'), 'test', ['c.py'])
    assert summary(started[0]) == ('2', 1, '1', '10.0.0.1', 1234)


def test_launch_joins_the_job_in_a_process_of_torchrun(started, monkeypatch):
    monkeypatch.setenv('TORCHELASTIC_RUN_ID', 'none')
    args = Namespace(gpus=2, launcher='none')
    assert not launch(args, 'train', [])
    assert (started, args.launcher) == ([], 'pytorch')


def test_launch_refuses_more_processes_than_gpus(started):
    with pytest.raises(UserError, match='8 GPUs were requested, but this machine has 2'):
        launch(Namespace(gpus=8, launcher='none'), 'train', [])


@pytest.mark.parametrize(
    ('name', 'value', 'message'),
    [
        ('NNODES', 'x', 'NNODES=x is not an integer of at least 1'),
        ('NODE_RANK', '-1', 'NODE_RANK=-1 is not an integer of at least 0'),
        ('PORT', '99999', 'PORT=99999 is not an integer from 1 to 65535'),
    ],
)
def test_launch_refuses_invalid_environment(name, value, message, started, monkeypatch):
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=message):
        launch(Namespace(gpus=2, launcher='none'), 'train', [])
    assert not started
