"""Loading photos: decoded in full, at reduced size as by --image-folder, and with --cache-images.

    python benchmarks/loading.py PHOTOS

compares the crops of a reduced decode, and crops that PyTorch resizes, with those of a full decode
that Pillow resizes. benchmarks/run.py measures the speed.
"""

import argparse
import json
import random
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config, ConfigDict
from mmpretrain.datasets.transforms import RandomResizedCrop
from PIL import Image
from rich.progress import track
from timing import Target, Variant, benchmark
from torch.utils.data import DataLoader

import mmrot
from mmrot.apis import cached_images, with_image_folder, with_loader_defaults
from mmrot.datasets.check_images import find_images
from mmrot.datasets.image_folder import EXTENSIONS
from mmrot.datasets.seeded_samples import SeededSampler, SeededSamples, seed_all
from mmrot.datasets.transforms import LoadImage, LoadResized, TorchResizedCrop
from mmrot.engine import Runner

LARGE = 60
MEGAPIXELS = 12


def enlarge(photos: list[Path], folder: Path) -> None:
    """Write photos as JPEGs of 12 megapixels, at quality 90."""
    for index, path in enumerate(track(photos, 'Enlarging', transient=True)):
        with Image.open(path) as image:
            factor = (MEGAPIXELS * 1e6 / (image.width * image.height)) ** 0.5
            size = round(image.width * factor), round(image.height * factor)
            large = image.convert('RGB').resize(size, Image.Resampling.BICUBIC)
        large.save(folder / f'{index}.jpg', quality=90)


def _loader(config: ConfigDict) -> DataLoader:
    """Build a dataloader with seeded samples, as the runner does."""
    dataset = dict(type=SeededSamples, dataset=config.dataset, seed=0)
    sampler = dict(type=SeededSampler, sampler=config.sampler)
    return Runner.build_dataloader({**config, 'dataset': dataset, 'sampler': sampler}, seed=0)


def _variants(photos: str, cache: str) -> dict[str, Variant]:
    """Return epochs of AlexNet's training images, with 1 worker."""
    cv2.setNumThreads(0)  # as in training
    cfg = Config.fromfile(mmrot.config_path('rotnet/alexnet_in1k.py'))
    cfg = with_loader_defaults(with_image_folder(cfg, photos, photos))
    cfg.train_dataloader.num_workers = 1
    full = ConfigDict(cfg.train_dataloader)
    full.dataset = dict(
        type='mmpretrain.CustomDataset',
        data_root=photos,
        with_label=False,
        extensions=EXTENSIONS,
        pipeline=cfg.train_dataloader.dataset.pipeline,
    )
    configs = {
        'full decode': full,
        'mmrot': cfg.train_dataloader,
        'mmrot --cache-images': cached_images(cfg, cache).train_dataloader,
        'mmrot --cache-images --cache-short-side 256': cached_images(
            cfg, cache, 256
        ).train_dataloader,
    }
    return {name: partial(_read, _loader(config)) for name, config in configs.items()}


def _read(loader: DataLoader) -> int:
    for _ in loader:
        pass
    return len(loader.dataset)


# folders that last as long as the process
_FOLDERS: list[tempfile.TemporaryDirectory] = []


def _folder() -> str:
    _FOLDERS.append(tempfile.TemporaryDirectory())
    return _FOLDERS[-1].name


@benchmark(
    "AlexNet's crops of photos, after the first epoch, 1 worker",
    unit='images/s',
    rounds=9,
    needs=('photos',),
    targets=(Target('mmrot --cache-images', 'full decode', 5, at_most=False),),
)
def image_cache(options: Any) -> Mapping[str, Variant]:
    return _variants(options.photos, _folder())


@benchmark(
    f"AlexNet's crops of {LARGE} photos enlarged to {MEGAPIXELS} megapixels, after the first "
    'epoch, 1 worker',
    unit='images/s',
    rounds=4,
    needs=('photos',),
    targets=(Target('mmrot', 'full decode', 3, at_most=False),),
)
def large_photos(options: Any) -> Mapping[str, Variant]:
    photos = find_images(options.photos)
    folder = _folder()
    enlarge(random.Random(0).sample(photos, min(LARGE, len(photos))), Path(folder))
    return _variants(folder, _folder())


def compare_crops(photos: list[Path], seeds: int = 3) -> dict[str, dict[str, float]]:
    """Compare random resized crops with those of a full decode by Pillow.

    Returns:
        Mean and largest absolute difference in levels of 255, of crops from a reduced decode, and
        of a full decode resized by PyTorch as from the cache.
    """
    crop = RandomResizedCrop(224, backend='pillow')
    reduced, by_torch = LoadResized(crop), TorchResizedCrop(scale=224)
    found: dict[str, list[np.ndarray]] = {'reduced decode': [], 'resized by PyTorch': []}
    for index, path in enumerate(track(photos, 'Comparing crops')):
        sample = LoadImage()(dict(img_path=str(path)))
        for seed in range(seeds):
            crops = []
            for step in (crop, reduced, by_torch):
                seed_all(seed, index)
                crops.append(step(dict(sample))['img'].astype(int))
            for name, other in zip(found, crops[1:], strict=True):
                found[name].append(np.abs(other - crops[0]))
    return {
        name: {
            'mean': float(np.mean([d.mean() for d in differences])),
            'largest mean of a crop': float(max(d.mean() for d in differences)),
            'largest': int(max(d.max() for d in differences)),
        }
        for name, differences in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('photos', type=Path, help='folder of photos')
    photos = find_images(parser.parse_args().photos)
    with tempfile.TemporaryDirectory() as folder:
        enlarge(random.Random(0).sample(photos, min(LARGE, len(photos))), Path(folder))
        large = compare_crops(find_images(folder))
    print(json.dumps({'photos': compare_crops(photos), 'enlarged': large}, indent=2))


if __name__ == '__main__':
    main()
