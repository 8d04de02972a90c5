#!/usr/bin/env python
"""Measure the speed-up of a training step by channels-last, bfloat16 and compile.

Times a step of a pretraining config on the same random images for all variants. They
alternate, so that other load affects all alike. Prints the median seconds per step
and the speed-up over contiguous float32.
"""

import argparse
import time

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import MODELS
from rich.progress import track

from mmrot.cli.errors import report_errors

VARIANTS = {
    'contiguous float32': dict(),
    'channels-last float32': dict(channels_last=True),
    'channels-last bfloat16': dict(channels_last=True, bfloat16=True),
    'the same, compiled': dict(channels_last=True, bfloat16=True, compiled=True),
}


def build(
    cfg: Config, channels_last: bool = False, bfloat16: bool = False, compiled: bool = False
) -> tuple[BaseModel, OptimWrapper]:
    """Build a variant of the model, and its optimizer."""
    model = MODELS.build({**cfg.model, 'channels_last': channels_last}).to(get_device())
    model.train()
    wrapper = dict(cfg.optim_wrapper)
    if bfloat16:
        wrapper['type'] = 'mmrot.BFloat16OptimWrapper'
    optim_wrapper = build_optim_wrapper(model, wrapper)
    if compiled:  # as mmengine's Runner does
        model.train_step = torch.compile(model.train_step)
    return model, optim_wrapper


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='pretraining config')
    parser.add_argument('--batch-size', type=int, default=16, help='images per batch (default 16)')
    parser.add_argument(
        '--size', type=int, default=224, help='side of the images in pixels (default 224)'
    )
    parser.add_argument(
        '--rounds', type=int, default=3, help='timed steps of each variant (default 3)'
    )
    parser.add_argument('--no-compile', action='store_true', help='omit the compiled variant')
    with report_errors():
        args = parser.parse_args()
        cfg = Config.fromfile(args.config)
        names = [n for n in VARIANTS if not (args.no_compile and 'compiled' in VARIANTS[n])]
        runs = {name: build(cfg, **VARIANTS[name]) for name in names}
        images = torch.randint(256, (args.batch_size, 3, args.size, args.size), dtype=torch.uint8)
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for round_ in track(range(args.rounds + 2), description='rounds'):
            for name, (model, optim_wrapper) in runs.items():
                start = time.perf_counter()
                model.train_step(dict(inputs=images), optim_wrapper)
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
                if round_ > 1:  # the first ones allocate and compile
                    seconds[name].append(time.perf_counter() - start)
    median = {name: float(np.median(values)) for name, values in seconds.items()}
    first = median[names[0]]
    for name, value in median.items():
        print(f'{name:22} {value:.4f} s (min {min(seconds[name]):.4f}), {first / value:.2f} times')


if __name__ == '__main__':
    main()
