"""Compute selective search proposals on a VOC dataset for Fast R-CNN."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmrot.datasets.proposals import write_proposals

from .errors import report_errors
from .parser import positive


def main(argv: Sequence[str] | None = None) -> None:
    """Run ``mmrot proposals``."""
    parser = argparse.ArgumentParser(prog='mmrot proposals', description=__doc__)
    parser.add_argument('root', help='folder of one year, such as data/VOCdevkit/VOC2007')
    parser.add_argument('split', help='name of a list in ImageSets/Main, such as trainval')
    parser.add_argument('out', help='file NAME.npz to write; an interrupted run is resumed')
    parser.add_argument(
        '--workers', type=positive, default=4, help='number of processes (default %(default)s)'
    )
    parser.add_argument(
        '--most', type=positive, default=2000, help='maximum boxes per image (default %(default)s)'
    )
    args = parser.parse_args(argv)
    with report_errors():
        root = Path(args.root)
        names = (root / f'ImageSets/Main/{args.split}.txt').read_text().split()
        paths = [root / f'JPEGImages/{name}.jpg' for name in names]
        write_proposals(paths, args.out, args.workers, args.most)
