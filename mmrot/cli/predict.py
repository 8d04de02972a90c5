"""Predict the rotation angle of photos.

Prints a table, or writes CSV with one line per photo. If some photos cannot be read, it prints one
line for each of them, predicts the others, and exits with status 1.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.progress import track
from rich.table import Column, Table
from rich.text import Text

from mmrot.apis import RotationInferencer
from mmrot.apis.photos import list_photos

from .errors import report_errors
from .parser import positive

_STDOUT = '-'


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='mmrot predict',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'photos', nargs='+', metavar='PHOTO', help='files, or folders with nested folders'
    )
    parser.add_argument(
        '--checkpoint', required=True, metavar='FILE', help='pretraining checkpoint'
    )
    parser.add_argument(
        '--config',
        help='pretraining config, a file or a name from `mmrot list`; by default the one in the '
        'checkpoint, which is parsed without being executed',
    )
    parser.add_argument(
        '--average',
        action='store_true',
        help='average over the four rotations of each photo, which takes four times as long',
    )
    parser.add_argument(
        '--csv',
        nargs='?',
        const=_STDOUT,
        metavar='FILE',
        help='write CSV to a new file, or to standard output',
    )
    parser.add_argument(
        '--batch-size',
        type=positive,
        default=32,
        metavar='N',
        help='photos per batch (default 32)',
    )
    parser.add_argument('--device', help="such as 'cpu' (default: the GPU if there is one)")
    parser.add_argument(
        '--trust',
        action='store_true',
        help='load a checkpoint that contains more than weights; such a file can run arbitrary '
        'code',
    )
    return parser


def _output(name: str | None) -> AbstractContextManager[TextIO | None]:
    """Open a new file, or standard output, for CSV."""
    if name is None or name == _STDOUT:
        return nullcontext(sys.stdout if name else None)
    return Path(name).open('x', newline='', encoding='utf-8')


def _cells(result: dict[str, Any]) -> list[str]:
    """Return angle, confidence and probabilities as text."""
    numbers = [result['confidence'], *result['probabilities'].values()]
    return [str(result['angle']), *(f'{number:.4f}' for number in numbers)]


def main(argv: Sequence[str] | None = None) -> None:
    """Run ``mmrot predict``."""
    args = _build_parser().parse_args(argv)
    failed = 0
    with report_errors():
        photos = list(list_photos(args.photos))
        inferencer = RotationInferencer(
            args.config, args.checkpoint, args.device, args.trust, show_progress=False
        )
        angles = [str(angle) for angle in inferencer.model.angles]
        table = Table(Column('photo', overflow='fold'), 'angle', 'confidence', *angles)
        errors = Console(stderr=True, soft_wrap=True)
        with _output(args.csv) as file:
            writer = csv.writer(file) if file else None
            if writer:
                writer.writerow(['photo', 'angle', 'confidence', *angles, 'error'])
            starts = range(0, len(photos), args.batch_size)
            for start in track(starts, 'Predicting', console=errors, transient=True):
                batch = photos[start : start + args.batch_size]
                for result in inferencer(batch, args.batch_size, args.average):
                    name, error = str(result['input']), result['error']
                    cells = [''] * (2 + len(angles)) if error else _cells(result)
                    if writer:
                        writer.writerow([name, *cells, error])
                    elif not error:
                        table.add_row(Text(name), *cells)
                    if error:
                        failed += 1
                        errors.print(Text(f'{name}: {error}'))
        if args.csv is None:
            Console().print(table)
        if failed:
            errors.print(f'{failed} of {len(photos)} photos could not be read.')
    if failed:
        sys.exit(1)
