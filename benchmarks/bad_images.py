"""Train on a folder with 1,000 damaged and odd images, with 0 and 2 workers.

    python benchmarks/bad_images.py PHOTOS --out benchmarks/results/bad_images.json

Writes variants of the photos in PHOTOS into a temporary folder, besides 60 photos as they are, and
trains a small NIN for two epochs. Checks that the files which were reported are those that
``mmrot.LoadImage`` refuses when it reads each of them alone, and that the weights are equal.
"""

import argparse
import io
import json
import multiprocessing
import random
import resource
import struct
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.config import Config
from PIL import Image

import mmrot
from mmrot.datasets.check_images import find_images
from mmrot.datasets.transforms import LoadImage
from mmrot.engine import Runner
from mmrot.errors import ImageError
from mmrot.weights.checkpoint import load_checkpoint
from mmrot.weights.digest import weights_sha256

GOOD = 60


def truncated(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(1, len(data))]


def bit_flips(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 20)):
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def zeroed_part(data: bytes, rng: random.Random) -> bytes:
    start, size = rng.randrange(len(data)), rng.randint(1, len(data) // 4)
    return data[:start] + bytes(size) + data[start + size :]


def empty(data: bytes, rng: random.Random) -> bytes:
    return b''


def text(data: bytes, rng: random.Random) -> bytes:
    return b'<html>404 Not Found</html>' * rng.randint(1, 9)


def random_bytes(data: bytes, rng: random.Random) -> bytes:
    return rng.randbytes(len(data))


def huge_jpeg_header(data: bytes, rng: random.Random) -> bytes:
    at = data.find(b'\xff\xc0') + 5  # start of frame: height and width
    return data[:at] + struct.pack('>HH', 65500, 65500) + data[at + 4 :]


def png_bomb(data: bytes, rng: random.Random) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack('>I', zlib.crc32(name + content))
        return struct.pack('>I', len(content)) + name + content + check

    header = struct.pack('>IIBBBBB', 200_000, 200_000, 8, 2, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', bytes(99))


def converted(mode: str, kind: str) -> Callable[[bytes, random.Random], bytes]:
    """Return a variant in another colour mode and format."""

    def convert(data: bytes, rng: random.Random) -> bytes:
        image = Image.open(io.BytesIO(data)).convert('L' if mode == 'I;16' else mode)
        if mode == 'I;16':
            image = Image.fromarray(torch.full(image.size[::-1], 3000).numpy().astype('uint16'))
        file = io.BytesIO()
        image.save(file, kind)
        return file.getvalue()

    return convert


def stretched(width: int, height: int) -> Callable[[bytes, random.Random], bytes]:
    """Return a variant of an extreme size."""

    def stretch(data: bytes, rng: random.Random) -> bytes:
        file = io.BytesIO()
        Image.open(io.BytesIO(data)).convert('RGB').resize((width, height)).save(file, 'PNG')
        return file.getvalue()

    return stretch


# Number of files of each kind, 1,000 in all.
KINDS: dict[str, tuple[int, Callable[[bytes, random.Random], bytes]]] = {
    'truncated': (180, truncated),
    'bit flips': (180, bit_flips),
    'zeroed part': (80, zeroed_part),
    'empty': (60, empty),
    'text': (60, text),
    'random bytes': (40, random_bytes),
    'JPEG header of 65500x65500 pixels': (40, huge_jpeg_header),
    'PNG header of 200000x200000 pixels': (40, png_bomb),
    'CMYK': (40, converted('CMYK', 'JPEG')),
    '16 bit': (40, converted('I;16', 'PNG')),
    'grey': (40, converted('L', 'JPEG')),
    'palette': (40, converted('P', 'PNG')),
    'alpha': (40, converted('RGBA', 'PNG')),
    'bilevel': (40, converted('1', 'PNG')),
    'WebP': (40, converted('RGB', 'WEBP')),
    '1x1': (20, stretched(1, 1)),
    '10000x1': (20, stretched(10_000, 1)),
}


def write_images(photos: Path, folder: Path, rng: random.Random) -> dict[str, str]:
    """Write the images and return their kinds by path."""
    sources = [path for path in find_images(photos) if path.suffix.lower() in ('.jpg', '.jpeg')]
    kinds: dict[str, str] = {}
    for kind, (count, change) in {'good': (GOOD, lambda data, rng: data), **KINDS}.items():
        for _ in range(count):
            path = folder / f'{len(kinds):04}.jpg'
            path.write_bytes(change(rng.choice(sources).read_bytes(), rng))
            kinds[str(path)] = kind
    return kinds


def train(folder: Path, work_dir: Path, workers: int) -> None:
    """Train for two epochs; writes the memory of the process before, and the peak of all."""
    torch.set_num_threads(1)
    cfg = Config.fromfile(mmrot.config_path('rotnet/nin4_cifar10.py'))
    pipeline = [
        dict(type='mmrot.LoadImage'),
        dict(type='mmpretrain.RandomResizedCrop', scale=32),
        dict(type='mmpretrain.PackInputs'),
    ]
    cfg.train_dataloader.dataset = dict(
        type='mmrot.ImageFolder', data_root=str(folder), pipeline=pipeline
    )
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.merge_from_dict(
        {
            'model.backbone.width': 12,
            'model.head.in_channels': 12,
            'train_dataloader.batch_size': 20,
            'train_dataloader.num_workers': workers,
            'train_dataloader.persistent_workers': workers > 0,
            'train_cfg.max_epochs': 2,
            'randomness.seed': 0,
            'max_bad_share': 1.0,
            'work_dir': str(work_dir),
            'log_level': 'ERROR',
        }
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    runner = Runner.from_cfg(cfg)
    runner.train()
    del runner  # ends the workers
    peak = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    (work_dir / 'memory.json').write_text(json.dumps([before // 1024, peak // 1024]))


def main() -> None:
    """Run the experiment."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('photos', type=Path, help='folder of JPEGs')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', type=Path, help='JSON file to write')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, 'images')
        folder.mkdir()
        kinds = write_images(args.photos, folder, random.Random(args.seed))
        refused = set()
        for path in kinds:
            try:
                LoadImage().transform(dict(img_path=path))
            except ImageError:
                refused.add(path)
        results: dict = {
            'images': len(kinds),
            'refused': len(refused),
            'refused by kind': {
                kind: f'{Counter(kinds[path] for path in refused)[kind]} of {count}'
                for kind, count in Counter(kinds.values()).items()
            },
        }
        hashes = []
        for workers in (0, 2):
            work_dir = Path(temporary, f'workers{workers}')
            process = multiprocessing.Process(target=train, args=(folder, work_dir, workers))
            process.start()
            process.join()
            if process.exitcode:
                sys.exit(process.exitcode)
            reported = set((work_dir / 'bad_images.txt').read_text().split('\n')[:-1])
            memory = json.loads((work_dir / 'memory.json').read_text())
            hashes.append(weights_sha256(load_checkpoint(work_dir / 'epoch_2.pth')['state_dict']))
            results[f'{workers} workers'] = dict(
                reported=len(reported),
                reported_equals_refused=reported == refused,
                memory_mb=dict(zip(('before', 'peak'), memory, strict=True)),
            )
        results['same weights'] = hashes[0] == hashes[1]
    text = json.dumps(results, indent=2)
    print(text)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text + '\n')


if __name__ == '__main__':
    main()
