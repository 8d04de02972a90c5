#!/usr/bin/env python
"""Watch a small network learn rotations of scanned digits, and what it learned."""

import argparse

from mmengine.config import DictAction

from mmrot.demo import run_demo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--work-dir', default='work_dirs/demo', help='folder for the results')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override settings of configs/rotnet/nin4_digits.py, as key=value',
    )
    args = parser.parse_args()
    run_demo(args.work_dir, args.cfg_options)


if __name__ == '__main__':
    main()
