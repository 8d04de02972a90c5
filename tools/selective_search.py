#!/usr/bin/env python
"""Compute selective search proposals on a VOC dataset for Fast R-CNN."""

import argparse
from pathlib import Path

from mmrot.cli import one_line_errors
from mmrot.datasets.proposals import write_proposals


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('root', help='folder of one year, such as data/VOCdevkit/VOC2007')
    parser.add_argument('split', help='name of a list in ImageSets/Main, such as trainval')
    parser.add_argument('out', help='file to write, NAME.pkl; an interrupted run resumes')
    parser.add_argument('--workers', type=int, default=4, help='number of processes (default 4)')
    parser.add_argument(
        '--most', type=int, default=2000, help='maximum number of boxes per image (default 2000)'
    )
    with one_line_errors():
        args = parser.parse_args()
        root = Path(args.root)
        names = (root / f'ImageSets/Main/{args.split}.txt').read_text().split()
        paths = [root / f'JPEGImages/{name}.jpg' for name in names]
        write_proposals(paths, args.out, args.workers, args.most)


if __name__ == '__main__':
    main()
