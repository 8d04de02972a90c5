#!/usr/bin/env python
"""Check that a change does not affect the seeded training losses.

    python tools/compare_losses.py            # against the losses in tests/golden_losses.json
    python tools/compare_losses.py HEAD~3     # against another commit, which is run as well
    python tools/compare_losses.py --update   # after a change that is meant to affect them

Runs 20 steps of pretraining on digits, of a probe and of a detector, on one CPU thread.
A refactoring must reproduce every loss to the last digit. The golden losses are those of
one machine and one version of torch; on another, compare with a commit.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / 'tests/golden_losses.json'
STEPS = 20

_XML = """<annotation><size><width>128</width><height>96</height><depth>3</depth></size>
<object><name>dog</name><difficult>0</difficult><bndbox>
<xmin>{x}</xmin><ymin>{y}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object></annotation>"""


def write_data(root: Path) -> None:
    """Write digits as 32×32 images in one folder per class, and bright squares in VOC's layout.

    Args:
        root (Path): Output folder for ``digits/{train,val}/<class>/`` and ``VOC2007/``.
    """
    digits = load_digits()
    for label in range(10):
        images = digits.images[digits.target == label]  # (N, 8, 8), 0 to 16
        for split, start, count in (('train', 0, 32), ('val', 32, 4)):
            folder = root / f'digits/{split}/{label}'
            folder.mkdir(parents=True)
            for index in range(start, start + count):
                pixels = (images[index] * 15).astype(np.uint8)
                cv2.imwrite(str(folder / f'{index}.png'), cv2.resize(pixels, (32, 32)))
    rng = np.random.default_rng(0)
    for part in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (root / 'VOC2007' / part).mkdir(parents=True)
    for split, numbers in (('trainval', range(8)), ('test', range(8, 10))):
        listing = root / f'VOC2007/ImageSets/Main/{split}.txt'
        listing.write_text(''.join(f'{number:06d}\n' for number in numbers))
        for name in (f'{number:06d}' for number in numbers):
            image = rng.integers(0, 60, (96, 128, 3), dtype=np.uint8)
            x, y = (int(v) for v in rng.integers(5, 40, 2))
            image[y : y + 45, x : x + 45] = 240
            cv2.imwrite(str(root / f'VOC2007/JPEGImages/{name}.jpg'), image)
            xml = _XML.format(x=x, y=y, x2=x + 45, y2=y + 45)
            (root / f'VOC2007/Annotations/{name}.xml').write_text(xml)


def train(tree: Path, work_dir: Path, config: str, *args: str) -> list[float]:
    """Train with the tools of a source tree.

    Args:
        tree (Path): Root of the source tree.
        work_dir (Path): Work directory of the run.
        config (str): Config, relative to ``configs/``.
        *args (str): Arguments of ``tools/train.py``; the last ones are ``--cfg-options``.

    Returns:
        list[float]: The first 20 training losses, unrounded.

    Raises:
        SystemExit: If the training fails.
    """
    command = [
        *(sys.executable, '-W', 'ignore', str(tree / 'tools/train.py')),
        *(str(tree / 'configs' / config), '--work-dir', str(work_dir), '--no-validate', *args),
        *('randomness.seed=0', 'default_hooks.logger.interval=1', 'log_processor.window_size=1'),
    ]
    env = {**os.environ, 'PYTHONPATH': str(tree), 'OMP_NUM_THREADS': '1'}
    run = subprocess.run(command, env=env, capture_output=True, text=True)
    if run.returncode:
        sys.exit(f'{" ".join(command)}\n{run.stderr}')
    (scalars,) = work_dir.glob('*/vis_data/scalars.json')
    rows = (json.loads(line) for line in scalars.read_text().splitlines())
    return [row['loss'] for row in rows if 'loss' in row][:STEPS]


def measure(tree: Path, data: Path, work_dir: Path) -> dict[str, list[float]]:
    """Run the three training runs of a source tree.

    Args:
        tree (Path): Root of the source tree.
        data (Path): Folder of :func:`write_data`.
        work_dir (Path): Folder for the work directories.

    Returns:
        dict[str, list[float]]: Name of the run → its losses.
    """
    losses = {}
    losses['digits'] = train(
        *(tree, work_dir / 'digits', 'rotnet/nin4_digits.py'),
        *('--cfg-options', 'train_cfg.max_epochs=1'),
    )
    small = ('train_cfg.max_epochs=1', 'train_dataloader.num_workers=0')
    train(
        *(tree, work_dir / 'pretraining', 'rotnet/nin4_cifar10.py'),
        *('--image-folder', str(data / 'digits/train'), '--cfg-options', *small),
    )
    losses['probe'] = train(
        *(tree, work_dir / 'probe', 'benchmarks/classification/nin4_nonlinear_cifar10.py'),
        *('--labelled-folder', str(data / 'digits')),
        *('--backbone', str(work_dir / 'pretraining/epoch_1.pth')),
        *('--cfg-options', *small, 'train_dataloader.batch_size=16'),
    )
    losses['detection'] = train(
        *(tree, work_dir / 'detection', 'benchmarks/detection/faster_rcnn_alexnet_voc07.py'),
        *('--backbone', 'random', '--cfg-options', f'data_root={data}/'),
        *('train_dataloader.num_workers=0', f'train_cfg.max_iters={STEPS}'),
        'train_dataloader.dataset.pipeline.2.scales=[(200,96),(200,128)]',
    )
    return losses


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('base', nargs='?', help='commit to compare with')
    parser.add_argument('--update', action='store_true', help='write the golden losses')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_data(work / 'data')
        if args.base:
            tree = work / 'base'
            git = ['git', '-C', str(ROOT), 'worktree']
            subprocess.run([*git, 'add', '--detach', str(tree), args.base], check=True)
            try:
                expected = measure(tree, work / 'data', work / 'expected')
            finally:
                subprocess.run([*git, 'remove', '--force', str(tree)], check=True)
        elif not args.update:
            expected = json.loads(GOLDEN.read_text())['losses']
        losses = measure(ROOT, work / 'data', work / 'measured')
    if args.update:
        environment = dict(
            torch=torch.__version__, machine=platform.machine(), processor=_processor()
        )
        text = json.dumps(dict(environment=environment, losses=losses), indent=1)
        GOLDEN.write_text(text + '\n')
        return
    table = Table()
    for header in ('run', 'steps', 'first loss', 'last loss', 'largest difference'):
        table.add_column(header, no_wrap=True)
    equal = True
    for name, values in losses.items():
        difference = np.abs(np.subtract(values, expected[name])).max()
        equal &= difference == 0
        table.add_row(
            *(name, str(len(values)), repr(values[0]), repr(values[-1]), f'{difference:g}')
        )
    Console(width=120).print(table)  # unrounded losses are wide
    if not equal:
        sys.exit('The losses differ.')


def _processor() -> str:
    """Return the model name of the processor, on which the last digits depend."""
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.partition(':')[2].strip() for line in lines if line.startswith('model name'))
    return next(names, platform.processor())


if __name__ == '__main__':
    main()
