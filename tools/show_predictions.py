#!/usr/bin/env python
"""Draw input, prediction and truth side by side, of a detector or a segmentor."""

from pathlib import Path

from mmrot.cli import build_parser, build_runner, load_config, one_line_errors
from mmrot.visualization import draw_side_by_side
from mmrot.weights.checkpoint import mmengine_loads_with


def main() -> None:
    parser = build_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--count', type=int, default=6, help='how many test images (default 6)')
    parser.add_argument('--out-dir', help='folder for the pictures (default WORK_DIR/predictions)')
    parser.add_argument(
        '--score-thr', type=float, default=0.3, help='draw boxes from this score (default 0.3)'
    )
    with one_line_errors():
        args = parser.parse_args()
        cfg = load_config(args)
        cfg.load_from = args.checkpoint
        cfg.resume = False
        cfg.visualizer.vis_backends = []  # it would keep every panel as well
        runner = build_runner(cfg)
        with mmengine_loads_with(args.trust):
            runner.load_to_test()
        pictures = draw_side_by_side(
            runner.model,
            runner.test_dataloader.dataset,
            runner.visualizer,
            args.out_dir or Path(cfg.work_dir, 'predictions'),
            args.count,
            args.score_thr,
        )
        for path in pictures:
            print(path, flush=True)


if __name__ == '__main__':
    main()
