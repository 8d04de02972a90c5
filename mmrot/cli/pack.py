"""Pack a folder of photos into indexed tar shards, for training on millions of photos."""

import argparse
import os
from collections.abc import Sequence

from mmrot.datasets.pack import pack_photos
from mmrot.errors import first_few

from .errors import report_errors
from .parser import positive


def main(argv: Sequence[str] | None = None) -> None:
    """Run ``mmrot pack``."""
    parser = argparse.ArgumentParser(prog='mmrot pack', description=__doc__)
    parser.add_argument('folder', metavar='FOLDER', help='photos, nested folders included')
    parser.add_argument(
        'out', metavar='OUT', help='output folder; repeat the command to resume an interrupted run'
    )
    parser.add_argument(
        '--short-side',
        type=positive,
        metavar='PIXELS',
        help='downsize larger photos to this short side and encode them as JPEG (default: store '
        'all files unchanged)',
    )
    parser.add_argument(
        '--shard-size',
        type=positive,
        default=10000,
        metavar='N',
        help='photos per shard (default %(default)s)',
    )
    parser.add_argument(
        '--jobs',
        type=positive,
        default=os.cpu_count() or 1,
        metavar='N',
        help='number of processes (default: number of CPUs, %(default)s)',
    )
    args = parser.parse_args(argv)
    with report_errors():
        packed = pack_photos(args.folder, args.out, args.short_side, args.shard_size, args.jobs)
        print(
            f'{args.out}: {packed.images} photos in {packed.shards} shards, '
            f'{packed.size / 1e6:.1f} MB'
        )
        if packed.skipped:
            print(
                f'Skipped {len(packed.skipped)} photos that cannot be decoded: '
                + first_few(packed.skipped, 3)
            )
