"""Prepare SBD's masks and the lists that FCN-32s is trained and tested on."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from .errors import report_errors


def main(argv: Sequence[str] | None = None) -> None:
    """Run ``mmrot sbd``."""
    parser = argparse.ArgumentParser(prog='mmrot sbd', description=__doc__)
    parser.add_argument('voc12', type=Path, help='VOCdevkit/VOC2012, to which files are added')
    parser.add_argument('sbd', type=Path, help='folder benchmark_RELEASE/dataset of SBD')
    parser.add_argument(
        'voc11_val', type=Path, help="VOC 2011's list VOC2011/ImageSets/Segmentation/val.txt"
    )
    args = parser.parse_args(argv)
    from mmrot.segmentation.sbd import prepare_sbd  # mmseg is optional

    with report_errors():
        for name, count in prepare_sbd(args.voc12, args.sbd, args.voc11_val).items():
            print(f'{name}: {count} images')
