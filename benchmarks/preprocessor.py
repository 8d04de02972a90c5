"""The data preprocessor, against the time of writing its output once."""

from collections.abc import Mapping
from typing import Any

import torch
from timing import Target, Variant, benchmark
from torch import Tensor

from mmrot.engine.memory import keep_freed_memory
from mmrot.models import RotationDataPreprocessor

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


def with_rot90(images: Tensor) -> Tensor:
    """Normalise and rotate as a few lines of PyTorch do."""
    mean = torch.tensor(MEAN, device=images.device).view(3, 1, 1)
    std = torch.tensor(STD, device=images.device).view(3, 1, 1)
    normal = ((images.float() - mean) / std).contiguous(memory_format=torch.channels_last)
    copies = [torch.rot90(normal, k, (2, 3)) for k in range(4)]
    return torch.stack(copies, 1).flatten(0, 1).contiguous(memory_format=torch.channels_last)


def _variants(count: int, size: int) -> Mapping[str, Variant]:
    keep_freed_memory()  # as in training
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    images = torch.randint(256, (count, 3, size, size), dtype=torch.uint8, device=device)
    shape = (4 * count, 3, size, size)
    reused = torch.empty(shape, device=device)
    module = RotationDataPreprocessor(mean=MEAN, std=STD, channels_last=True).to(device)
    if not torch.equal(module(dict(inputs=images))['inputs'], with_rot90(images)):
        raise AssertionError('the variants differ')
    return {
        'write a new output once': lambda: torch.full(shape, 1.0, device=device).ndim,
        'write over an old output once': lambda: reused.fill_(1.0).ndim,
        'mmrot': lambda: len(module(dict(inputs=images))['inputs']),
        'torch.rot90 and stack': lambda: len(with_rot90(images)),
    }


@benchmark(
    'Normalise and rotate 32 uint8 images of 224×224 pixels, channels-last',
    threads=1,
    rounds=25,
    warmup=3,
    targets=(Target('mmrot', 'write a new output once', 3.0),),
)
def preprocessor(options: Any) -> Mapping[str, Variant]:
    return _variants(32, 224)


@benchmark(
    'Normalise and rotate 128 uint8 images of 32×32 pixels, channels-last',
    threads=1,
    rounds=25,
    warmup=3,
)
def preprocessor_small(options: Any) -> Mapping[str, Variant]:
    return _variants(128, 32)
