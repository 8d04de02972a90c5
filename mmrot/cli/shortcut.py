"""Check whether a network reads rotations from traces of JPEG compression.

Prints rotation accuracy on photos, on photos without some of these traces, and on images whose
content does not reveal a rotation, with a verdict. See docs/shortcuts.md.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mmrot.apis import check_shortcuts
from mmrot.config import read_config
from mmrot.files import write_atomically
from mmrot.results import environment

from .errors import report_errors
from .parser import positive


def main(argv: Sequence[str] | None = None) -> None:
    """Run ``mmrot shortcut``."""
    parser = argparse.ArgumentParser(
        prog='mmrot shortcut',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='pretraining config, a file or a name from `mmrot list`')
    parser.add_argument('checkpoint', help='pretraining checkpoint')
    parser.add_argument(
        '--image-folder', metavar='DIR', help="photos to use instead of the config's test data"
    )
    parser.add_argument(
        '--num-images',
        type=positive,
        default=1000,
        metavar='N',
        help='number of photos, and of noise images (default 1000)',
    )
    parser.add_argument(
        '--batch-size',
        type=positive,
        default=64,
        metavar='N',
        help='images per forward pass (default 64)',
    )
    parser.add_argument(
        '--out',
        metavar='FILE',
        help='JSON file for the results (default: <checkpoint>.shortcut.json)',
    )
    parser.add_argument(
        '--trust',
        action='store_true',
        help='load a checkpoint that contains more than weights; such a file can run arbitrary '
        'code',
    )
    args = parser.parse_args(argv)
    with report_errors():
        results = check_shortcuts(
            read_config(args.config),
            args.checkpoint,
            args.image_folder,
            args.num_images,
            args.batch_size,
            args.trust,
        )
        table = Table('images', 'number', '4-way, %', 'axis, %')
        for row in results['rows']:
            numbers = (f'{row[key]:.1f}' for key in ('accuracy', 'axis_accuracy'))
            table.add_row(row['images'], str(row['count']), *numbers)
        console = Console()
        console.print(table)
        console.print(results['verdict'])
        out = Path(args.out or f'{args.checkpoint}.shortcut.json')
        content = {**results, **environment()}
        write_atomically(out, json.dumps(content, indent=2, ensure_ascii=False) + '\n')
        console.print(f'Results: {out}')
