"""Collect the results of several runs in the tables of the papers.

Runs that differ only in their seed are reported as mean ± standard deviation.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from mmrot.results import print_tables, read_records, write_results

from .errors import report_errors


def combine(runs: Iterable[str | Path], out: str | Path | None = None) -> None:
    """Print the tables of several runs.

    Args:
        runs: Work directories, or their ``results.json``.
        out: Folder for ``table.json`` and ``table.md``.

    Raises:
        FileNotFoundError: If a run has no results.
        UserError: If the results of the runs cannot be combined.
    """
    records = [record for run in runs for record in read_records(run)]
    if out is not None:
        write_results(records, out, 'table')
    print_tables(records)


def main(argv: Sequence[str] | None = None) -> None:
    """Run ``mmrot table``."""
    parser = argparse.ArgumentParser(prog='mmrot table', description=__doc__)
    parser.add_argument('runs', nargs='+', help='work directories, or their results.json')
    parser.add_argument('--out', metavar='DIR', help='folder for table.json and table.md')
    args = parser.parse_args(argv)
    with report_errors():
        combine(args.runs, args.out)
