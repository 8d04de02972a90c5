#!/usr/bin/env python
"""Watch a small network learn rotations of scanned digits, and what it learned."""

import argparse

from mmrot.apis.demo import run_demo
from mmrot.cli import one_line_errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--work-dir', default='work_dirs/demo', help='folder for the results')
    args = parser.parse_args()
    with one_line_errors():
        run_demo(args.work_dir)


if __name__ == '__main__':
    main()
