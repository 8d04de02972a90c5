#!/usr/bin/env python
"""Reproduce the paper's CIFAR-10 results: Tables 1, 2, 3, 9, Figures 5a and 5b.

Recorded cells are not measured again, and interrupted runs are resumed.
"""

import argparse
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # projects are not part of the installed package

from mmrot.cli.errors import report_errors  # noqa: E402
from projects.cifar10_study import (  # noqa: E402
    FIGURES,
    Settings,
    Study,
    draw_figures,
    select,
    settings_of,
    study_records,
    write_page,
)

RECORDS = ROOT / 'projects/cifar10_study/records.jsonl'


def build_parser() -> argparse.ArgumentParser:
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
    parser.add_argument('--width', type=int, default=192, help='width of NIN (default 192)')
    parser.add_argument(
        '--images-per-class', type=int, help='training images per class (default all)'
    )
    parser.add_argument(
        '--work-dir',
        default='work_dirs/reproduce_cifar10',
        help='parent of the work directories (default %(default)s)',
    )
    parser.add_argument(
        '--records',
        default=str(RECORDS),
        help='.jsonl file, or a folder for records.jsonl (default %(default)s)',
    )
    parser.add_argument(
        '--page',
        help='Markdown file to write (default docs/reproduction.md, for other records '
        'reproduction.md next to them)',
    )
    parser.add_argument('--page-only', action='store_true', help='only write the page')
    parser.add_argument('--list', action='store_true', help='only list the cells')
    return parser


def main() -> None:
    with report_errors():
        args = build_parser().parse_args()
        classifiers = select(args.only, args.cells)
        if args.list:
            for classifier in classifiers:
                for cell in classifier.cells:
                    print('/'.join(cell))
            return
        records = Path(args.records)
        if records.suffix != '.jsonl':
            records /= 'records.jsonl'
        page = ROOT / 'docs/reproduction.md'
        if args.page:
            page = Path(args.page)
        elif records.resolve() != RECORDS:
            page = records.parent / 'reproduction.md'
        if args.page_only:
            write(page, records)
            return
        settings = Settings(args.data, args.budget, args.width, args.images_per_class)
        if settings.reduced:
            print(f"A reduced study, {settings.name}: not the paper's numbers", flush=True)
        study = Study(settings, args.work_dir, records, ROOT / 'tools')
        write_page(study_records(records))  # stops at invalid records before a long run
        # let the scheduler stop a running job in the same way as Ctrl-C
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            study.run(classifiers, args.seeds)
        finally:
            write(page, records)


def write(page: Path, file: Path) -> None:
    """Write the page and draw the figures of all records."""
    records = study_records(file)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(write_page(records), encoding='utf-8')
    print(page)
    for name in sorted({settings_of(record).name for record in records}):
        found = [record for record in records if settings_of(record).name == name]
        for path in draw_figures(found, page.parent / FIGURES / name):
            print(path)


if __name__ == '__main__':
    main()
