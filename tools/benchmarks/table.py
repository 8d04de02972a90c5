#!/usr/bin/env python
"""Put the results of several runs into the tables of the sources.

Runs of several seeds become mean ± standard deviation.
"""

import argparse

from mmrot.cli import one_line_errors
from mmrot.results import print_tables, read_records, write_results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('runs', nargs='+', help='work directories, or their results.json')
    parser.add_argument('--out', help='folder to write table.json and table.md to')
    with one_line_errors():
        args = parser.parse_args()
        records = [record for run in args.runs for record in read_records(run)]
        if args.out:
            write_results(records, args.out, 'table')
        print_tables(records)


if __name__ == '__main__':
    main()
