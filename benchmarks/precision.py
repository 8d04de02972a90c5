"""Training steps with other memory formats, precisions and compilation."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS
from timing import Target, Variant, benchmark, in_new_process

import mmrot
from mmrot.engine.bfloat16_optim_wrapper import has_bfloat16
from mmrot.engine.memory import keep_freed_memory

VARIANTS = {
    'contiguous, float32': dict(channels_last=False),
    'channels-last, float32': dict(channels_last=True),
    'channels-last, bfloat16': dict(channels_last=True, bfloat16=True),
    'channels-last, bfloat16, compiled': dict(channels_last=True, bfloat16=True, compiled=True),
    'channels-last, float32, compiled': dict(channels_last=True, compiled=True),
}


def build(
    cfg: Config, channels_last: bool, bfloat16: bool = False, compiled: bool = False
) -> tuple[Any, Any]:
    """Build a variant of the model of a config, and its optimizer."""
    model = MODELS.build({**cfg.model, 'channels_last': channels_last}).to(get_device())
    model.train()
    wrapper = dict(cfg.optim_wrapper)
    if bfloat16:
        wrapper['type'] = 'mmrot.BFloat16OptimWrapper'
    optim_wrapper = build_optim_wrapper(model, wrapper)
    if compiled:  # as mmengine's Runner does
        model.train_step = torch.compile(model.train_step)
    return model, optim_wrapper


def nin(width: int) -> Config:
    """Return the config of a NIN with four blocks."""
    cfg = Config.fromfile(mmrot.config_path('rotnet/nin4_cifar10.py'))
    cfg.model.backbone.width = cfg.model.head.in_channels = width
    return cfg


def _step(model: Any, images: torch.Tensor, wrapper: Any) -> int:
    model.train_step(dict(inputs=images), wrapper)
    return len(images)


def _variants(cfg: Config, batch_size: int, size: int) -> Mapping[str, Variant]:
    keep_freed_memory()  # as in training
    images = torch.randint(256, (batch_size, 3, size, size), dtype=torch.uint8)
    variants: dict[str, Variant] = {}
    for name, options in VARIANTS.items():
        if options.get('bfloat16') and not has_bfloat16():
            continue
        model, wrapper = build(cfg, **options)
        variants[name] = partial(_step, model, images, wrapper)
    return variants


@benchmark('Training, NIN of width 48, 32 images', unit='images/s', warmup=2)
def precision_nin48(options: Any) -> Mapping[str, Variant]:
    return _variants(nin(48), 32, 32)


@benchmark('Training, NIN of width 96, 32 images', unit='images/s', rounds=7, warmup=2)
def precision_nin96(options: Any) -> Mapping[str, Variant]:
    return _variants(nin(96), 32, 32)


@benchmark('Training, NIN of width 192, 32 images', unit='images/s', rounds=5, warmup=2)
def precision_nin192(options: Any) -> Mapping[str, Variant]:
    return _variants(nin(192), 32, 32)


@benchmark('Training, AlexNet, 16 images', unit='images/s', rounds=5, warmup=2)
def precision_alexnet(options: Any) -> Mapping[str, Variant]:
    return _variants(Config.fromfile(mmrot.config_path('rotnet_alexnet_in1k.py')), 16, 224)


@benchmark(
    'Training, NIN of width 96, 32 images, channels-last, float32, by threads and oneDNN',
    unit='images/s',
    rounds=7,
    warmup=2,
)
def cpu_settings(options: Any) -> Mapping[str, Variant]:
    keep_freed_memory()  # as in training
    images = torch.randint(256, (32, 3, 32, 32), dtype=torch.uint8)
    model, wrapper = build(nin(96), channels_last=True)

    def with_settings(threads: int, onednn: bool = True) -> int:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        with torch.backends.mkldnn.flags(enabled=onednn):
            _step(model, images, wrapper)
        torch.set_num_threads(before)
        return len(images)

    cores = torch.get_num_threads()
    return {
        f'{cores} threads, one on each core': partial(with_settings, cores),
        '1 thread': partial(with_settings, 1),
        f'{2 * cores} threads': partial(with_settings, 2 * cores),
        f'{cores} threads, without oneDNN': partial(with_settings, cores, onednn=False),
    }


_WITH_FREED_MEMORY = """
import sys, time
import numpy, torch
from functools import partial
sys.path.insert(0, sys.argv[1])
from precision import _step, build, nin
from mmrot.engine.memory import keep_freed_memory
if sys.argv[2] == 'kept':
    keep_freed_memory()
model, wrapper = build(nin(96), channels_last=True)
images = torch.randint(256, (32, 3, 32, 32), dtype=torch.uint8)
seconds = []
for _ in range(6):
    start = time.perf_counter()
    _step(model, images, wrapper)
    seconds.append(time.perf_counter() - start)
print(numpy.median(seconds[2:]))
"""


@benchmark(
    'Training step, NIN of width 96, 32 images, float32, in new processes whose freed memory is',
    targets=(Target('kept, as mmrot does', 'returned to the system', 1.0),),
)
def freed_memory(options: Any) -> dict[str, list[float]]:
    folder = str(Path(__file__).parent)
    names = {'returned': 'returned to the system', 'kept': 'kept, as mmrot does'}
    seconds: dict[str, list[float]] = {name: [] for name in names.values()}
    for _ in range(options.rounds or 5):
        for mode, name in names.items():
            seconds[name].append(float(in_new_process(_WITH_FREED_MEMORY, folder, mode)))
    return seconds
