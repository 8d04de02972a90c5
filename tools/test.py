#!/usr/bin/env python
"""Test a checkpoint of a model of mmrot, mmpretrain, mmdet or mmseg."""

import mmengine
from mmengine.evaluator import DumpResults

from mmrot.cli import build_parser, build_runner, load_config, one_line_errors


def main() -> None:
    parser = build_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', help='file to write results to')
    parser.add_argument(
        '--out-item',
        choices=['metrics', 'pred'],
        help='what to write: predictions (.pkl, the default) or metrics (.json)',
    )
    args = parser.parse_args()
    if args.out_item and not args.out:
        parser.error('--out-item expects --out')
    with one_line_errors() as runners:
        cfg = load_config(args)
        cfg.load_from = args.checkpoint
        if args.amp:
            cfg.test_cfg.fp16 = True
        runners.append(build_runner(cfg))
        runner = runners[0]
        if args.out and args.out_item != 'metrics':
            runner.test_evaluator.metrics.append(DumpResults(out_file_path=args.out))
        metrics = runner.test()
        if args.out and args.out_item == 'metrics':
            mmengine.dump(metrics, args.out)


if __name__ == '__main__':
    main()
