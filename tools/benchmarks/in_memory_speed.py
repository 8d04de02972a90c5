#!/usr/bin/env python
"""Measure the speed-up of --in-memory for pretraining on small images.

Times epochs of `rotnet/nin4_cifar10.py` without the network: images are read,
cropped, mirrored, normalised and rotated, by the workers of the pipeline and from
memory. The two alternate, so that other load affects both alike. Prints the median
images per second of each and the ratio.
"""

import argparse
import time

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import MODELS
from rich.progress import track
from torch.utils.data import DataLoader

import mmrot
from mmrot.apis import in_memory, with_image_folder
from mmrot.cli.errors import report_errors
from mmrot.engine.runner import Runner


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', help='folder of 32×32 images, searched recursively')
    parser.add_argument('--images', type=int, help='number of images to use (default: all)')
    parser.add_argument(
        '--workers', type=int, help="workers of the pipeline (default: the config's)"
    )
    parser.add_argument('--rounds', type=int, default=5, help='timed epochs of each (default 5)')
    with report_errors():
        args = parser.parse_args()
        cfg = Config.fromfile(mmrot.config_path('rotnet/nin4_cifar10.py'))
        cfg = with_image_folder(cfg, args.folder)
        if args.images:
            cfg.train_dataloader.dataset.indices = args.images
        if args.workers is not None:
            cfg.train_dataloader.update(
                num_workers=args.workers, persistent_workers=args.workers > 0
            )
        loaders = {
            'pipeline': Runner.build_dataloader(cfg.train_dataloader, seed=0),
            'in memory': Runner.build_dataloader(in_memory(cfg).train_dataloader, seed=0),
        }
        measure(cfg, loaders, args.rounds)


def measure(cfg: Config, loaders: dict[str, DataLoader], rounds: int) -> None:
    """Time epochs of both loaders in turn, and print the ratio."""
    preprocessor = MODELS.build(cfg.model).data_preprocessor.to(get_device())
    seconds: dict[str, list[float]] = {name: [] for name in loaders}
    images = 0
    for round_ in track(range(rounds + 1), description='epochs'):
        for name, loader in loaders.items():
            start = time.perf_counter()
            images = sum(len(preprocessor(b, training=True)['inputs']) for b in loader) // 4
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if round_ > 0:  # the first round starts the workers
                seconds[name].append(time.perf_counter() - start)
    speed = {name: images / float(np.median(values)) for name, values in seconds.items()}
    for name, value in speed.items():
        print(f'{name:9} {value:.0f} images/s (best {images / min(seconds[name]):.0f})')
    print(f'in memory / pipeline: {speed["in memory"] / speed["pipeline"]:.1f}')


if __name__ == '__main__':
    main()
