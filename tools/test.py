#!/usr/bin/env python
"""Test a checkpoint of a model of mmrot, mmpretrain, mmdet or mmseg."""

import mmengine
from mmengine.dist import is_main_process
from mmengine.evaluator import DumpResults

from mmrot.cli import (
    build_parser,
    build_runner,
    draw_predictions,
    load_config,
    one_line_errors,
    use_tta,
)
from mmrot.weights.checkpoint import mmengine_loads_with


def main() -> None:
    parser = build_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', help='file to write results to')
    parser.add_argument(
        '--out-item',
        choices=['metrics', 'pred'],
        help='what to write: predictions (.pkl, the default) or metrics (.json, .yml, .pkl)',
    )
    parser.add_argument('--show-dir', help='folder for pictures of the predictions')
    parser.add_argument('--show', action='store_true', help='show predictions in a window')
    parser.add_argument('--interval', type=int, default=1, help='draw every n-th image or batch')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds to show a picture')
    parser.add_argument(
        '--tta', action='store_true', help="test-time augmentation of the config's"
    )
    with one_line_errors() as runners:
        args = parser.parse_args()
        if args.out_item and not args.out:
            parser.error('--out-item: expected --out as well')
        endings = ('.json', '.yml', '.pkl') if args.out_item == 'metrics' else ('.pkl', '.pickle')
        if args.out and not args.out.endswith(endings):
            parser.error(f'--out {args.out}: expected a file ending in {", ".join(endings)}')
        cfg = load_config(args)
        cfg.load_from = args.checkpoint
        cfg.resume = False  # a config that was dumped by a resumed training says True
        if args.amp:
            cfg.test_cfg.fp16 = True
        if args.show or args.show_dir:
            draw_predictions(cfg, args)
        if args.tta:
            use_tta(cfg)
        runners.append(build_runner(cfg))
        runner = runners[0]
        if args.out and args.out_item != 'metrics':
            runner.test_evaluator.metrics.append(DumpResults(out_file_path=args.out))
        with mmengine_loads_with(args.trust):
            metrics = runner.test()
        if args.out and args.out_item == 'metrics' and is_main_process():
            mmengine.dump(metrics, args.out)


if __name__ == '__main__':
    main()
