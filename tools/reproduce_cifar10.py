#!/usr/bin/env python
"""Reproduce the paper's CIFAR-10 results: Tables 1, 2, 3, 9, figures 5a and 5b.

What was measured before is not run again, and a run that stopped goes on.
"""

import argparse
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # projects are not part of the installed package

from mmrot.cli import one_line_errors  # noqa: E402
from projects.cifar10_study import (  # noqa: E402
    FIGURES,
    Settings,
    Study,
    draw_figures,
    read_records,
    select,
    write_page,
)

RECORDS = ROOT / 'results/cifar10'


def main() -> None:
    parser = argparse.ArgumentParser(
        prog='tools/reproduce_cifar10.sh',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--data',
        default='data/cifar10',
        help='folder with cifar-10-batches-py/ or {train,test}/<class>/ (default %(default)s)',
    )
    parser.add_argument('--seeds', nargs='+', type=int, default=[0], help='default 0')
    parser.add_argument('--only', nargs='+', default=[], metavar='TABLE', help='such as table3')
    parser.add_argument(
        '--cells',
        nargs='+',
        default=[],
        metavar='TABLE/ROW/COLUMN',
        help="wildcards are allowed, such as 'table3/RotNet*'",
    )
    parser.add_argument(
        '--budget', type=float, default=1.0, help='fraction of the epochs (default 1)'
    )
    parser.add_argument('--width', type=int, default=192, help='of NIN (default 192)')
    parser.add_argument('--images-per-class', type=int, help='training images (default all)')
    parser.add_argument('--work-dir', default='work_dirs/reproduce_cifar10', help='of the runs')
    parser.add_argument('--records', default=str(RECORDS), help='folder (default %(default)s)')
    parser.add_argument(
        '--page', help='to write (default docs/reproduction.md, of other records beside them)'
    )
    parser.add_argument('--page-only', action='store_true', help='run nothing')
    parser.add_argument('--list', action='store_true', help='list the cells and stop')
    with one_line_errors():
        args = parser.parse_args()
        page = Path(args.page or Path(args.records, 'reproduction.md'))
        if not args.page and Path(args.records).resolve() == RECORDS:
            page = ROOT / 'docs/reproduction.md'
        evaluations = select(args.only, args.cells)
        if args.list:
            for evaluation in evaluations:
                for cell in evaluation.cells:
                    print('/'.join(cell))
            return
        if not args.page_only:
            settings = Settings(args.data, args.budget, args.width, args.images_per_class)
            if settings.reduced:
                print(f"A reduced study, {settings.name}: not the paper's numbers", flush=True)
            study = Study(settings, args.work_dir, args.records, ROOT / 'tools')
            # a run is ended with the study, by an interruption as by the scheduler
            write_page(read_records(args.records))  # what is amiss there is said at once
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
            try:
                study.run(evaluations, args.seeds)
            finally:
                write(page, args.records)
        else:
            write(page, args.records)


def write(page: Path, folder: str) -> None:
    """Write the page and draw the figures from all records."""
    records = read_records(folder)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(write_page(records), encoding='utf-8')
    print(page)
    for name in sorted({record['settings']['name'] for record in records}):
        found = [record for record in records if record['settings']['name'] == name]
        for path in draw_figures(found, page.parent / FIGURES / name):
            print(path)


if __name__ == '__main__':
    main()
