"""The data loader against its limits, and against other ways to load rotated copies.

All read the same photos with one worker, in batches of 32, and crop and mirror them with the same
transforms. Like MMSelfSup, the third rotates by warps in the pipeline (``mmcv.imrotate``) and
normalises all copies; like the loader of the paper's authors, the fourth flips and transposes
arrays, and converts and normalises each copy. Both are written from descriptions.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import cv2
import mmcv
import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.dataset import default_collate
from mmengine.registry import MODELS
from mmpretrain.registry import TRANSFORMS
from preprocessor import MEAN, STD
from timing import Variant, benchmark
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

import mmrot
from mmrot import apis
from mmrot.datasets import ImageFolder
from mmrot.datasets.seeded_samples import SeededSamples
from mmrot.engine import Runner
from mmrot.models import RotationDataPreprocessor

CROP = [
    dict(type='mmpretrain.RandomResizedCrop', scale=224),
    dict(type='mmpretrain.RandomFlip', prob=0.5, direction='horizontal'),
]
LIMIT = 250


class Photos(Dataset):
    """Photos that a function turns into a sample."""

    def __init__(self, files: list[str], make: Callable[[np.ndarray], Any]) -> None:
        self.files = files
        self.make = make

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Any:
        return self.make(cv2.imread(self.files[index]))


def _size(image: np.ndarray) -> int:
    return image.size


class Cropped:
    """Crop and mirror, then make a sample."""

    def __init__(self, finish: Callable[[np.ndarray], Any]) -> None:
        self.crop = Compose([TRANSFORMS.build(dict(step)) for step in CROP])
        self.finish = finish

    def __call__(self, image: np.ndarray) -> Any:
        image = self.crop(dict(img=image, img_shape=image.shape[:2]))['img']
        return self.finish(np.ascontiguousarray(image))


def _planar(image: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def _warped(image: np.ndarray) -> list[Tensor]:
    """Four copies as MMSelfSup makes them."""
    return [_planar(mmcv.imrotate(image, angle)) for angle in (0, 90, 180, 270)]


def _normalised(image: np.ndarray) -> Tensor:
    """Four copies as the authors make them."""
    turned = [np.ascontiguousarray(np.rot90(image, k)) for k in range(4)]
    mean, std = torch.tensor(MEAN).view(3, 1, 1) / 255, torch.tensor(STD).view(3, 1, 1) / 255
    return torch.stack([(_planar(copy).float().div(255) - mean) / std for copy in turned])


def _loaders(folder: str) -> dict[str, DataLoader]:
    pipeline = [dict(type='mmrot.LoadImage'), *CROP, dict(type='mmpretrain.PackInputs')]
    dataset = dict(type=ImageFolder, data_root=folder, pipeline=pipeline, indices=LIMIT)
    ours = SeededSamples(dataset, seed=0)
    files = [ours.get_data_info(index)['img_path'] for index in range(len(ours))]
    others: dict[str, Callable[[np.ndarray], Any]] = {
        'decode': _size,
        'decode, crop, mirror': Cropped(_planar),
        'four warps, as MMSelfSup': Cropped(_warped),
        "four float copies, as the authors'": Cropped(_normalised),
    }
    options: dict = dict(batch_size=32, num_workers=1, persistent_workers=True)
    loaders = {name: DataLoader(Photos(files, make), **options) for name, make in others.items()}
    loaders['mmrot'] = DataLoader(ours, collate_fn=default_collate, **options)
    return loaders


def _ignore(batch: Any) -> None:
    pass


def _read(loader: DataLoader, finish: Callable[[Any], Any]) -> int:
    for batch in loader:
        finish(batch)
    return len(loader.dataset)


@benchmark('Photos out of the data loader, 1 worker', unit='images/s', rounds=7, needs=('photos',))
def loader(options: Any) -> Mapping[str, Variant]:
    loaders = _loaders(options.photos)
    return {name: partial(_read, loader, _ignore) for name, loader in loaders.items()}


@benchmark(
    'The same, with all copies normalised by the main process, 1 thread',
    unit='images/s',
    rounds=5,
    threads=1,
    needs=('photos',),
)
def loader_and_preprocessor(options: Any) -> Mapping[str, Variant]:
    loaders = _loaders(options.photos)
    module = RotationDataPreprocessor(mean=MEAN, std=STD, channels_last=True)
    finish: dict[str, Callable[[Any], Any]] = {
        'mmrot': lambda batch: module(batch),
        'four warps, as MMSelfSup': lambda batch: module(dict(inputs=batch)),
        "four float copies, as the authors'": lambda batch: batch.flatten(0, 1).contiguous(
            memory_format=torch.channels_last
        ),
    }
    return {name: partial(_read, loaders[name], finish[name]) for name in finish}


@benchmark(
    'Photos of 32×32 pixels, cropped, mirrored, normalised and rotated, by the pipeline with 1 '
    'worker and from memory',
    unit='images/s',
    rounds=5,
    needs=('small_photos',),
)
def in_memory(options: Any) -> Mapping[str, Variant]:
    cfg = Config.fromfile(mmrot.config_path('rotnet/nin4_cifar10.py'))
    cfg = apis.with_image_folder(cfg, options.small_photos)
    cfg.train_dataloader.dataset.indices = 5000
    cfg.train_dataloader.update(num_workers=1, persistent_workers=True)
    module = MODELS.build(cfg.model).data_preprocessor
    loaders = {
        'pipeline': Runner.build_dataloader(cfg.train_dataloader, seed=0),
        'mmrot --in-memory': Runner.build_dataloader(apis.in_memory(cfg).train_dataloader, seed=0),
    }
    return {name: partial(_read, loader, module) for name, loader in loaders.items()}
