"""What several test modules use: paths, jobs, networks, logs."""

import json
import multiprocessing
import os
import socket
import tempfile
import traceback
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer
from torch import nn

from mmrot.config import config_path
from mmrot.models import NIN

ROOT = Path(__file__).resolve().parents[1]


def forget_jobs() -> None:
    """Drop what mmengine keeps of a job, under the second in which it started."""
    for logger in MMLogger._instance_dict.values():
        for handler in logger.handlers:
            handler.close()
    visualizers = [Visualizer, *Visualizer.__subclasses__()]  # those of the hosts too
    for manager in (DefaultScope, MessageHub, MMLogger, *visualizers):
        manager._instance_dict.clear()


def skip_without_host(config: str) -> None:
    """Skip the test of a config whose host, mmdet or mmseg, is not installed."""
    hosts = {'detection': 'mmdet', 'segmentation': 'mmseg'}
    pytest.importorskip(hosts.get(Path(config).parent.name, 'mmpretrain'))


def shipped(name: str) -> Config:
    """Read one of mmrot's configs."""
    return Config.fromfile(config_path(name))


def free_port() -> int:
    """Ask the system for a free port."""
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        return server.getsockname()[1]


def write_photo(path: Path, rng: np.random.Generator, size: tuple[int, int] = (40, 48)) -> None:
    """Write a JPEG that is brighter at the top, so that its rotation shows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = np.linspace(220, 20, size[0])[:, None, None]
    image = ramp + rng.integers(0, 30, (*size, 3))
    assert cv2.imwrite(str(path), image.astype(np.uint8))


_INHERITING = tempfile.TemporaryDirectory()


def inheriting(name: str) -> Path:
    """Write a config that only inherits one of mmrot's, as users' do."""
    path = Path(_INHERITING.name, Path(name).name)
    path.write_text(f"_base_ = 'mmrot::{name}'\n")
    return path


def lively(network: nn.Module) -> nn.Module:
    """Set batch norm parameters and statistics to values unlike those of initialisation."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return network.eval()


def authors_nin(blocks: int) -> tuple[nn.Module, dict]:
    """A NIN of ours, and its weights as the authors' code saves them."""
    network = lively(NIN(blocks, 12))
    state = OrderedDict()
    for key, value in network.state_dict().items():
        block, layer, kind, parameter = key.split('.')
        kind = {'conv': 'Conv', 'bn': 'BatchNorm'}[kind]
        n = int(block[-1])
        if parameter != 'num_batches_tracked':  # PyTorch 0.2 had none
            name = f'_feature_blocks.{n - 1}.Block{n}_ConvB{layer[-1]}.layers.{kind}.{parameter}'
            state[name] = value
    state[f'_feature_blocks.{blocks}.Classifier.weight'] = torch.rand(4, 12)
    state[f'_feature_blocks.{blocks}.Classifier.bias'] = torch.rand(4)
    return network, {'epoch': 200, 'network': state}


def logged(work_dir: Path) -> list[dict]:
    """Read what the latest job in a work dir logged, one dict per line."""
    latest = max(
        work_dir.glob('*/vis_data/scalars.json'), key=lambda path: path.stat().st_mtime_ns
    )
    return [json.loads(line) for line in latest.read_text().splitlines()]


def losses(work_dir: Path) -> list[float]:
    """The training losses that the latest job in a work dir logged."""
    return [row['loss'] for row in logged(work_dir) if 'loss' in row]


def run_ranks(function: Callable, world_size: int, folder: Path) -> None:
    """Call ``function(folder)`` in forked processes that are connected by gloo."""

    def run(rank: int) -> None:
        status = 1
        try:
            torch.set_num_threads(1)  # others would wait for threads that were not forked
            torch.distributed.init_process_group(
                'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=world_size
            )
            function(folder)
            status = 0
        except BaseException:
            traceback.print_exc()
        os._exit(status)  # pytest's own exit handlers are the parent's

    context = multiprocessing.get_context('fork')
    processes = [context.Process(target=run, args=(rank,)) for rank in range(world_size)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        process.kill()
    assert [process.exitcode for process in processes] == [0] * world_size


def tiny_config(work_dir, **changes) -> Config:
    """Return the digits config with a small network and 8 images, which are not augmented."""
    cfg = Config.fromfile(config_path('rotnet/nin4_digits.py'))
    cfg.merge_from_dict(
        {
            'work_dir': str(work_dir),
            'model.backbone.width': 6,
            'model.head.in_channels': 6,
            'train_dataloader.dataset.indices': 8,
            'train_dataloader.dataset.pipeline': [dict(type='mmpretrain.PackInputs')],
            'train_dataloader.batch_size': 4,
            'val_dataloader.dataset.indices': 4,
            'test_dataloader.dataset.indices': 4,
            'train_cfg.max_epochs': 1,
            'default_hooks.checkpoint.interval': 1,
            'default_hooks.logger.interval': 1,
            'log_level': 'ERROR',
            **changes,
        }
    )
    return cfg
