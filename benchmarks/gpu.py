"""A training step on a GPU: images per second, FLOP utilisation, and the share of kernels."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from mmengine.config import Config
from precision import _step, build
from timing import Variant, benchmark
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

import mmrot

VARIANTS = {
    'float32': dict(),
    'bfloat16': dict(bfloat16=True),
    'bfloat16, compiled': dict(bfloat16=True, compiled=True),
}
NETWORKS = {
    'NIN': ('rotnet/nin4_cifar10.py', 128, 32),
    'AlexNet': ('rotnet_alexnet_in1k.py', 192, 224),
    'ResNet-50': ('rotnet/resnet50_8xb16_steplr_70e_in1k.py', 64, 224),
}


def _steps(step: Variant, count: int = 10) -> int:
    images = 0
    for _ in range(count):
        images += int(step() or 0)
    return images


def _prepare(network: str) -> dict[str, Variant]:
    config, batch_size, size = NETWORKS[network]
    images = torch.randint(256, (batch_size, 3, size, size), dtype=torch.uint8).cuda()
    variants: dict[str, Variant] = {}
    for name, options in VARIANTS.items():
        cfg = Config.fromfile(mmrot.config_path(config))
        model, wrapper = build(cfg, channels_last=True, **options)
        variants[name] = partial(_step, model, images, wrapper)
    return variants


def _throughput(network: str) -> Mapping[str, Variant]:
    return {name: partial(_steps, step) for name, step in _prepare(network).items()}


def _kernel_share(step: Variant) -> float:
    """Return the time of kernels relative to that of the step, in percent."""
    _steps(step, 3)
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        _steps(step)
        torch.cuda.synchronize()
    events = [event for event in profiler.events() if event.device_type.name == 'CUDA']
    busy = sum(event.time_range.elapsed_us() for event in events)
    start = min(event.time_range.start for event in events)
    end = max(event.time_range.end for event in events)
    return 100 * busy / (end - start)


def _teraflops(network: str) -> Mapping[str, Variant]:
    """Return variants whose rates are TFLOP/s, with a large matrix product to compare with."""
    with FlopCounterMode(display=False) as counter:
        images = _prepare(network)['float32']() or 1
    per_image = counter.get_total_flops() / images / 1e12
    a = torch.randn(8192, 8192, device='cuda', dtype=torch.bfloat16)

    def product() -> float:
        for _ in range(10):
            a @ a
        return 10 * 2 * 8192**3 / 1e12

    variants = {
        name: lambda run=run: (run() or 0) * per_image
        for name, run in _throughput(network).items()
    }
    return {'matrix product, bfloat16': product, **variants}


def _register(network: str) -> None:
    name = network.lower().replace('-', '')
    _, batch_size, size = NETWORKS[network]
    title = f'{network}, batches of {batch_size} images of {size}×{size} pixels'
    options: dict[str, Any] = dict(needs=('gpu',), warmup=3)

    def gpu_images(options: Any) -> Mapping[str, Variant]:
        return _throughput(network)

    def gpu_flops(options: Any) -> Mapping[str, Variant]:
        return _teraflops(network)

    def gpu_kernels(options: Any) -> dict[str, list[float]]:
        steps = _prepare(network)
        return {
            variant: [_kernel_share(step) for _ in range(options.rounds or 3)]
            for variant, step in steps.items()
        }

    for function, what, unit in (
        (gpu_images, 'Training on a GPU', 'images/s'),
        (gpu_flops, 'FLOP utilisation on a GPU', 'TFLOP/s'),
        (gpu_kernels, 'Share of time in kernels on a GPU', '%'),
    ):
        function.__name__ += f'_{name}'
        benchmark(f'{what}, {title}', unit=unit, **options)(function)


for _network in NETWORKS:
    _register(_network)
