"""Pretrain a small network on scanned digits and show what it learned."""

import argparse
from collections.abc import Sequence

from mmrot.apis.demo import run_demo

from .errors import report_errors


def main(argv: Sequence[str] | None = None) -> None:
    """Run ``mmrot demo``."""
    parser = argparse.ArgumentParser(prog='mmrot demo', description=__doc__)
    parser.add_argument(
        '--work-dir',
        default='work_dirs/demo',
        help='folder for the results (default %(default)s)',
    )
    args = parser.parse_args(argv)
    with report_errors():
        run_demo(args.work_dir)
