"""List the image files in a folder that cannot be decoded or are damaged."""

import argparse
import os
import sys
from collections.abc import Sequence

from mmrot.datasets.check_images import check_images, find_images

from .errors import report_errors
from .parser import positive


def main(argv: Sequence[str] | None = None) -> None:
    """Run ``mmrot check``; exits with status 1 if there are bad files."""
    parser = argparse.ArgumentParser(prog='mmrot check', description=__doc__)
    parser.add_argument('photos', metavar='PHOTOS', help='folder, nested folders included')
    parser.add_argument(
        '--workers',
        type=positive,
        default=os.cpu_count() or 1,
        help='number of processes (default: number of CPUs, %(default)s)',
    )
    args = parser.parse_args(argv)
    with report_errors():
        paths = find_images(args.photos)
        bad = list(check_images(paths, args.workers))
        for path, problem in bad:
            print(f'{path}: {problem}')
        print(f'{len(bad)} of {len(paths)} images are bad.')
    sys.exit(int(bool(bad)))
