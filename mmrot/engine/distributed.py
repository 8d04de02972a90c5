"""Distributed jobs on machines without a GPU, which use gloo instead of NCCL."""

import atexit
import os
import subprocess
import sys
from datetime import timedelta
from typing import NoReturn

import torch
from mmengine.dist import get_rank, get_world_size, init_dist, is_distributed
from mmengine.model import is_model_wrapper
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmrot.errors import UserError

# Same default as mmengine's for GPU jobs.
_PORT = '29500'
# Each launcher's equivalents of torchrun's RANK, WORLD_SIZE and LOCAL_RANK.
_RANKS = {
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
}


def unwrap(model: nn.Module) -> nn.Module:
    """Return the model itself if it is wrapped for data parallelism."""
    return model.module if is_model_wrapper(model) else model


def _batch_norms(model: nn.Module) -> list[_BatchNorm]:
    return [module for module in unwrap(model).modules() if isinstance(module, _BatchNorm)]


def gather_statistics(
    model: nn.Module, group: torch.distributed.ProcessGroup | None
) -> list[dict[str, Tensor]] | None:
    """Collect the running statistics of batch norm, which each process has of its own.

    Args:
        model: The model.
        group: The processes, all of which must call this function. None for a single one.

    Returns:
        One dict for each process, or None if they are equal.
    """
    if group is None:
        return None
    own = {
        f'{index}.{name}': buffer.cpu()
        for index, module in enumerate(_batch_norms(model))
        for name, buffer in module.named_buffers(recurse=False)
    }
    states: list = [None] * torch.distributed.get_world_size(group)
    torch.distributed.all_gather_object(states, own, group)
    equal = all(torch.equal(state[key], own[key]) for state in states for key in own)
    return None if equal else states


def load_statistics(model: nn.Module, states: list[dict[str, Tensor]] | None) -> None:
    """Load the statistics of this process, unless the number of processes has changed.

    Args:
        model: The model.
        states: What :func:`gather_statistics` returned.
    """
    if states is None or len(states) != get_world_size():
        return
    for index, module in enumerate(_batch_norms(model)):
        for name, buffer in module.named_buffers(recurse=False):
            buffer.copy_(states[get_rank()][f'{index}.{name}'])


def duration(seconds: float | None) -> timedelta | None:
    """Convert the ``timeout`` of mmengine's ``dist_cfg`` for PyTorch."""
    return None if seconds is None else timedelta(seconds=seconds)


def init_process_group(launcher: str) -> None:
    """Initialise the default process group, on gloo if this machine has no GPU.

    Args:
        launcher: ``'pytorch'``, ``'slurm'`` or ``'mpi'``.

    Raises:
        UserError: See :func:`init_gloo`.
    """
    if torch.cuda.is_available():
        init_dist(launcher)
    else:
        init_gloo(launcher)


def init_gloo(launcher: str, timeout: float | None = None) -> None:
    """Initialise the default process group on a machine without a GPU.

    mmengine's own initialisation calls ``torch.cuda.set_device`` first.

    Args:
        launcher: ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
        timeout: Seconds after which a process that waits for another one fails. Defaults to
            PyTorch's 30 minutes.

    Raises:
        UserError: If an environment variable of the launcher is not set.
    """
    if launcher in _RANKS:
        for name, source in zip(
            ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'), _RANKS[launcher], strict=True
        ):
            if source not in os.environ:
                raise UserError(
                    f'--launcher {launcher}: the environment variable {source} is not set.'
                )
            os.environ[name] = os.environ[source]
        os.environ.setdefault('MASTER_PORT', _PORT)
    if launcher == 'slurm' and 'MASTER_ADDR' not in os.environ:
        command = ['scontrol', 'show', 'hostname', os.environ['SLURM_NODELIST']]
        hosts = subprocess.run(command, check=True, capture_output=True, text=True)
        os.environ['MASTER_ADDR'] = hosts.stdout.split()[0]
    torch.distributed.init_process_group('gloo', timeout=duration(timeout))


def uses_gloo() -> bool:
    """Return whether this process is part of a distributed job on gloo."""
    return is_distributed() and torch.distributed.get_backend() == 'gloo'


def leave_process_group() -> None:
    """End a distributed job that succeeded; does nothing in other jobs.

    A process on gloo exits here. Do not call it after an error: other ranks may be
    waiting in a collective, and destroying the group would wait for them.
    """
    if is_distributed():
        on_gloo = uses_gloo()
        torch.distributed.destroy_process_group()
        if on_gloo:
            end_process(0)


def end_process(status: int) -> NoReturn:
    """Exit without shutting down the interpreter, which may abort on gloo.

    A worker thread of gloo that releases a tensor during the shutdown aborts the
    process ("terminate called without an active exception"), now and then even
    after ``destroy_process_group``:
    https://github.com/pytorch/pytorch/issues/190489.
    """
    atexit._run_exitfuncs()  # log files and DataLoader workers
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
