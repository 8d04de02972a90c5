"""Test a checkpoint of a model of mmrot, mmpretrain, mmdet or mmseg."""

import argparse
from collections.abc import Sequence

import mmengine
from mmengine.dist import is_main_process
from mmengine.evaluator import DumpResults

from mmrot.apis import with_drawing, with_tta
from mmrot.weights.checkpoint import safe_checkpoint_loading

from .config import build_runner, load_config
from .errors import report_errors
from .launch import launch
from .parser import gpus_option, job_parser


def _test(args: argparse.Namespace) -> None:
    cfg = load_config(args)
    cfg.load_from = args.checkpoint
    cfg.resume = False  # the config of a resumed run has True
    if args.amp:
        cfg.test_cfg.fp16 = True
    if args.show or args.show_dir:
        cfg = with_drawing(cfg, args.show, args.show_dir, args.interval, args.wait_time)
    if args.tta:
        cfg = with_tta(cfg)
    runner = build_runner(cfg)
    if args.out and args.out_item != 'metrics':
        runner.test_evaluator.metrics.append(DumpResults(out_file_path=args.out))
    with safe_checkpoint_loading(args.trust):
        metrics = runner.test()
    if args.out and args.out_item == 'metrics' and is_main_process():
        mmengine.dump(metrics, args.out)


def main(argv: Sequence[str] | None = None) -> None:
    """Run ``mmrot test``."""
    parser = job_parser('test', __doc__, gpus_option())
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', metavar='FILE', help='file for the results')
    parser.add_argument(
        '--out-item',
        choices=['metrics', 'pred'],
        help='what to write: predictions (.pkl, the default) or metrics (.json, .yml, .pkl)',
    )
    parser.add_argument('--show-dir', metavar='DIR', help='folder for pictures of predictions')
    parser.add_argument('--show', action='store_true', help='show predictions in a window')
    parser.add_argument('--interval', type=int, default=1, help='draw every n-th image or batch')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds to show a picture')
    parser.add_argument(
        '--tta', action='store_true', help='use the test-time augmentation of the config'
    )
    args = parser.parse_args(argv)
    if args.image_folder and len(args.image_folder) == 1:
        args.image_folder *= 2  # test all photos, not only those held out from training
    if args.out_item and not args.out:
        parser.error('--out-item needs --out')
    endings = ('.json', '.yml', '.pkl') if args.out_item == 'metrics' else ('.pkl', '.pickle')
    if args.out and not args.out.endswith(endings):
        parser.error(f'--out {args.out}: expected a file ending in {", ".join(endings)}')
    with report_errors():
        if not launch(args, 'test', argv):
            _test(args)
