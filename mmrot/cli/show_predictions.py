"""Draw input, prediction and ground truth of a detector or a segmentor side by side."""

from collections.abc import Sequence
from pathlib import Path

from mmrot.visualization import draw_side_by_side
from mmrot.weights.checkpoint import safe_checkpoint_loading

from .config import build_runner, load_config
from .errors import report_errors
from .parser import job_parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run ``mmrot show-predictions``."""
    parser = job_parser('show-predictions', __doc__)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--count', type=int, default=6, help='number of test images (default %(default)s)'
    )
    parser.add_argument(
        '--out-dir', metavar='DIR', help='folder for the pictures (default WORK_DIR/predictions)'
    )
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.3,
        help='minimum score of the boxes to draw (default %(default)s)',
    )
    args = parser.parse_args(argv)
    with report_errors():
        cfg = load_config(args)
        cfg.load_from = args.checkpoint
        cfg.resume = False
        cfg.visualizer.vis_backends = []  # they would save every panel as well
        runner = build_runner(cfg)
        with safe_checkpoint_loading(args.trust):
            runner.load_for_testing()
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
