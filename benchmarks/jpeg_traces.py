"""Measure how well random crops hide traces of JPEG compression.

    python benchmarks/jpeg_traces.py --training caltech20/train imagenet_sample \
        --validation caltech20/val --checkpoint nin/epoch_4.pth \
        --out benchmarks/results/jpeg_traces.json

Crops of large photos are shrunk to 32×32 pixels, which removes the traces of their own
compression, rotated by a random multiple of 90° and saved as JPEG of quality 75. Their content
thus says nothing about a rotation that follows, but the traces reveal its axis. A NIN that was
pretrained with padded crops (docs/measurements.md, "NIN on CIFAR-10 JPEGs"), and so reads traces,
is trained on random crops of these images. Its axis accuracy on validation images shows how much
of the traces the crops leave; chance is 50 %.
"""

import argparse
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from rich.progress import track
from torch import Tensor

import mmrot
from mmrot.apis.shortcut import rotation_accuracies
from mmrot.datasets.check_images import find_images
from mmrot.datasets.in_memory_images import (
    CROP_DRAWS,
    crop_and_flip,
    resize_crops,
    sample_crops,
)
from mmrot.evaluation.shortcut import recompress
from mmrot.models import RotationPred

SIDE, BATCH_SIZE, LEARNING_RATE = 32, 32, 0.01
Crop = Callable[[Tensor, torch.Generator], Tensor]


def images_with_traces(folders: list[str], crops: int, seed: int) -> Tensor:
    """Return (N, 3, 32, 32) uint8, RGB: random crops of photos, shrunk, rotated and compressed."""
    rng = np.random.default_rng(seed)
    images = []
    for path in itertools.chain.from_iterable(map(find_images, folders)):
        photo = cv2.imread(str(path))
        for _ in range(crops):
            side = int(min(photo.shape[:2]) * rng.uniform(0.55, 1))
            if side >= 4 * SIDE:  # JPEG's blocks shrink from 8 pixels to 2 or fewer
                top, left = rng.integers(0, np.array(photo.shape[:2]) - side + 1)
                crop = photo[top : top + side, left : left + side]
                small = cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
                images.append(np.rot90(small, int(rng.integers(4))))
    order = rng.permutation(len(images))
    arrays = recompress(np.ascontiguousarray(np.stack(images)[order]), 75)
    return torch.from_numpy(arrays[..., ::-1].copy()).permute(0, 3, 1, 2).contiguous()


def padded(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return random crops of images padded by 4 pixels, half of them mirrored."""
    offsets = torch.randint(0, 9, (len(images), 2), generator=generator)
    flips = torch.rand(len(images), generator=generator) < 0.5
    return crop_and_flip(images, 4, offsets, flips)


def resized(area: float, ratio: float) -> Crop:
    """Return random resized crops of areas from ``area`` and aspect ratios up to ``ratio``."""

    def crop(images: Tensor, generator: torch.Generator) -> Tensor:
        draws = torch.rand(len(images), CROP_DRAWS, generator=generator)
        crops = sample_crops(draws, SIDE, (area, 1.0), (1 / ratio, ratio))
        flips = torch.rand(len(images), generator=generator) < 0.5
        return resize_crops(images, crops, SIDE, flips)

    return crop


def train(model: RotationPred, images: Tensor, crop: Crop, steps: int, seed: int) -> None:
    """Train a model on random crops of images, in place."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=LEARNING_RATE, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    decay = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2 * steps // 3, 5 * steps // 6], 0.2)
    model.train()
    for _ in track(range(steps), 'Training', transient=True):
        batch = images[torch.randint(len(images), (BATCH_SIZE,), generator=generator)]
        data = model.data_preprocessor(dict(inputs=crop(batch, generator)), training=True)
        loss = model(**data, mode='loss')['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay.step()
    model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--training', nargs='+', required=True, help='folders of large photos')
    parser.add_argument('--validation', nargs='+', required=True, help='folders of large photos')
    parser.add_argument(
        '--checkpoint', required=True, help='NIN of width 48 pretrained with padded crops'
    )
    parser.add_argument('--steps', type=int, default=400)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    parser.add_argument('--out', type=Path)
    args = parser.parse_args()
    cfg = Config.fromfile(mmrot.config_path('rotnet/nin4_cifar10.py'))
    cfg.model.backbone.width = cfg.model.head.in_channels = 48
    training = images_with_traces(args.training, 8, seed=0)
    validation = images_with_traces(args.validation, 5, seed=1)[:1000]
    crops: dict[str, Crop] = {'padded': padded}
    for ratio, area in itertools.product((4 / 3, 2.0), (0.4, 0.3, 0.2, 0.08)):
        crops[f'area from {area}, aspect ratio to {ratio:.2f}'] = resized(area, ratio)
    rows = []
    for (name, crop), seed in itertools.product(crops.items(), args.seeds):
        model = mmrot.get_model(cfg, args.checkpoint, device='cpu')
        train(model, training, crop, args.steps, seed)
        cropped = crop(validation, torch.Generator().manual_seed(seed))
        row: dict[str, str | int | float] = dict(crops=name, seed=seed)
        for key, images in (('whole', validation), ('cropped', cropped)):
            arrays = images.permute(0, 2, 3, 1).numpy()[..., ::-1]  # BGR
            row[key] = rotation_accuracies(model, arrays, bgr=False)[1]
        print(row, flush=True)
        rows.append(row)
    if args.out:
        args.out.write_text(json.dumps(dict(images=len(training), rows=rows), indent=1) + '\n')


if __name__ == '__main__':
    main()
