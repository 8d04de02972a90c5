"""Training steps: mmrot's Runner against a bare loop, and precisions against each other."""

import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.registry import DATASETS, HOOKS, MODELS
from preprocessor import MEAN, STD
from timing import Target, benchmark
from torch import nn
from torch.utils.data import DataLoader, Dataset

import mmrot
from mmrot.engine import Runner


@DATASETS.register_module()
class RandomImages(Dataset):
    """The same random images each time, as a pipeline packs them."""

    metainfo: dict = {}

    def __init__(self, count: int, size: int) -> None:
        generator = torch.Generator().manual_seed(0)
        shape = (count, 3, size, size)
        self.images = torch.randint(256, shape, dtype=torch.uint8, generator=generator)

    def __len__(self) -> int:
        return len(self.images)

    def get_data_info(self, index: int) -> dict:
        return {}

    def __getitem__(self, index: int) -> dict:
        return dict(inputs=self.images[index])


class Bare:
    """A training loop as one would write it in PyTorch."""

    def __init__(self, cfg: Config, images: RandomImages, batch_size: int) -> None:
        device = get_device()
        self.network = nn.Sequential(MODELS.build(cfg.model.backbone)).to(device)
        self.fc = nn.Linear(cfg.model.head.in_channels, 4).to(device)
        self.network.to(memory_format=torch.channels_last)
        self.mean = torch.tensor(MEAN, device=device).view(3, 1, 1)
        self.std = torch.tensor(STD, device=device).view(3, 1, 1)
        optimizer = dict(cfg.optim_wrapper.optimizer)
        optimizer.pop('type')
        parameters = [*self.network.parameters(), *self.fc.parameters()]
        self.optimizer = torch.optim.SGD(parameters, **optimizer)
        self.loader = DataLoader(images, batch_size, shuffle=True)
        self.batches: Iterator = iter(())

    def step(self) -> None:
        """Train on one batch."""
        try:
            images = next(self.batches)['inputs']
        except StopIteration:
            self.batches = iter(self.loader)
            images = next(self.batches)['inputs']
        images = (images.to(self.mean.device).float() - self.mean) / self.std
        images = images.contiguous(memory_format=torch.channels_last)
        copies = torch.stack([torch.rot90(images, k, (2, 3)) for k in range(4)], 1).flatten(0, 1)
        labels = torch.arange(4, device=copies.device).repeat(len(images))
        features = self.network(copies)[-1]
        if features.ndim == 4:
            features = features.mean((2, 3))
        loss = F.cross_entropy(self.fc(features), labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


@HOOKS.register_module()
class TakeTurns(Hook):
    """Times blocks of iterations of the Runner and, in between, blocks of the bare loop."""

    priority = 100  # after all others

    def __init__(self, bare: Callable[[], None], block: int) -> None:
        self.bare = bare
        self.block = block
        self.seconds: dict[str, list[float]] = {'mmrot': [], 'bare loop': []}
        self._start = 0.0

    def before_train(self, runner: Runner) -> None:
        self._start = time.perf_counter()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if (runner.iter + 1) % self.block:
            return
        _wait()
        first = time.perf_counter()
        for _ in range(self.block):
            self.bare()
        _wait()
        second = time.perf_counter()
        self.seconds['mmrot'].append((first - self._start) / self.block)
        self.seconds['bare loop'].append((second - first) / self.block)
        self._start = time.perf_counter()


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _turns(
    name: str, batch_size: int, size: int, block: int, rounds: int, **backbone: Any
) -> dict[str, list[float]]:
    """Train both loops in turn, and return the seconds per step."""
    cfg = Config.fromfile(mmrot.config_path(name))
    cfg.model.backbone.update(backbone)
    if 'width' in backbone:
        cfg.model.head.in_channels = backbone['width']
    images = RandomImages(batch_size * 4, size)
    bare = Bare(cfg, images, batch_size)
    with tempfile.TemporaryDirectory() as folder:
        cfg.merge_from_dict(
            dict(work_dir=folder, log_level='ERROR', randomness=dict(seed=0, deterministic=False))
        )
        cfg.train_dataloader = dict(
            batch_size=batch_size,
            num_workers=0,
            dataset=dict(type='RandomImages', count=batch_size * 4, size=size, _scope_='mmengine'),
            sampler=dict(type='mmengine.DefaultSampler', shuffle=True),
            collate_fn=dict(type='default_collate'),
        )
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
        cfg.test_cfg = cfg.test_dataloader = cfg.test_evaluator = None
        iterations = block * (rounds + 1)
        cfg.train_cfg = dict(by_epoch=True, max_epochs=-(-iterations // 4))
        cfg.default_hooks.checkpoint = None
        runner = Runner.from_cfg(cfg)
        hook = TakeTurns(bare.step, block)
        runner.register_hook(hook)
        runner.train()
    return {name: values[1:] for name, values in hook.seconds.items()}  # the first warms up


def _limit(limit: float = 1.03) -> tuple[Target, ...]:
    return (Target('mmrot', 'bare loop', limit),)


@benchmark('Training step, NIN of width 48, 32 images of 32×32 pixels', targets=_limit())
def step_nin48(options: Any) -> dict[str, list[float]]:
    rounds = options.rounds or 15
    return _turns('rotnet/nin4_cifar10.py', 32, 32, 5, rounds, width=48)


@benchmark('Training step, NIN of width 192, 32 images of 32×32 pixels')
def step_nin192(options: Any) -> dict[str, list[float]]:
    return _turns('rotnet/nin4_cifar10.py', 32, 32, 2, options.rounds or 7)


@benchmark('Training step, AlexNet, 16 images of 224×224 pixels')
def step_alexnet(options: Any) -> dict[str, list[float]]:
    return _turns('rotnet_alexnet_in1k.py', 16, 224, 2, options.rounds or 5)


@benchmark('Training step, ResNet-50, 4 images of 224×224 pixels')
def step_resnet50(options: Any) -> dict[str, list[float]]:
    return _turns('rotnet/resnet50_8xb16_steplr_70e_in1k.py', 4, 224, 1, options.rounds or 5)
