"""Plot where a network looks, what it has learned and what it predicts."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure

from mmrot.apis import (
    plot_attention,
    plot_confusion,
    plot_features,
    plot_filters,
    plot_neighbours,
)
from mmrot.errors import UserError
from mmrot.visualization import draw_side_by_side, paper_style
from mmrot.weights.checkpoint import safe_checkpoint_loading

from .config import build_runner, load_config
from .errors import report_errors
from .extract import load_feature_config
from .parser import config_options, image_folder_option, positive

KINDS = {
    'attention': 'where stages respond to the rotated copies of images (Figures 3 and 6)',
    'filters': 'filters of the first layer, scaled by batch norm (Figure 4)',
    'features': 'features of a stage in two dimensions, coloured by class',
    'neighbours': 'nearest neighbours of images by the features of a stage',
    'confusion': 'confusion matrix of the predicted rotations',
    'predictions': 'predictions of a detector or segmentor next to the ground truth',
}
_PLOTS: dict[str, Callable[..., Figure]] = {
    'attention': plot_attention,
    'filters': plot_filters,
    'features': plot_features,
    'neighbours': plot_neighbours,
    'confusion': plot_confusion,
}
# Options that are arguments of these functions, under the same names.
_ARGUMENTS = {
    'stages',
    'powers',
    'stage',
    'method',
    'thumbnails',
    'k',
    'bank',
    'images',
    'count',
    'split',
}
_WITH_IMAGES = ('attention', 'neighbours')
_WITH_FEATURES = ('features', 'neighbours')


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='mmrot show', description=__doc__)
    kinds = parser.add_subparsers(dest='kind', required=True, metavar='KIND')
    for name, title in KINDS.items():
        parents = [config_options()]
        if name not in ('filters', 'predictions'):
            parents.append(image_folder_option())
        child = kinds.add_parser(
            name,
            help=title,
            usage=f'mmrot show {name} CONFIG CHECKPOINT [options]',
            description=f'Plot {title}.',
            parents=parents,
        )
        child.add_argument(
            'config', metavar='CONFIG', help='config file, or a name from `mmrot list`'
        )
        child.add_argument('checkpoint', metavar='CHECKPOINT', help=_checkpoint_help(name))
        if name == 'predictions':
            _add_prediction_options(child)
        else:
            _add_options(child, name)
    return parser


def _checkpoint_help(kind: str) -> str:
    if kind == 'predictions':
        return 'checkpoint file'
    if kind == 'confusion':
        return 'pretraining checkpoint'
    return "pretraining checkpoint, bare backbone, or 'random'"


def _add_options(parser: argparse.ArgumentParser, kind: str) -> None:
    parser.add_argument(
        '--out',
        metavar='FILE',
        help=f'file for the figure, such as .png, .pdf or .svg (default WORK_DIR/{kind}.png)',
    )
    if kind != 'filters':
        parser.add_argument(
            '--split',
            choices=['train', 'val', 'test'],
            default='test',
            help='data of the config to use without --image-folder (default %(default)s)',
        )
    if kind == 'attention':
        parser.add_argument(
            '--stages',
            nargs='+',
            default=[0, 1, 2],
            metavar='STAGE',
            help='stages by name (conv1, block2, the names of a probe) or index in out_indices '
            '(default: the first three)',
        )
        parser.add_argument(
            '--powers',
            nargs='+',
            type=float,
            metavar='P',
            help='power p of each stage, further stages use the last one (default 1 2 4)',
        )
    if kind in _WITH_FEATURES:
        parser.add_argument(
            '--stage',
            help='stage by name or index in out_indices (default: the last output)',
        )
        parser.add_argument(
            '--features',
            metavar='DIR',
            help='folder in which extracted features are kept for the next call',
        )
    if kind == 'features':
        parser.add_argument(
            '--method',
            choices=['pca', 'tsne'],
            default='pca',
            help='projection to two dimensions (default %(default)s)',
        )
        parser.add_argument(
            '--thumbnails', action='store_true', help='draw small images where there is room'
        )
    if kind == 'neighbours':
        parser.add_argument(
            '--k', type=positive, default=8, help='number of neighbours (default %(default)s)'
        )
        parser.add_argument(
            '--bank',
            choices=['train', 'val', 'test'],
            help="data of the config in which neighbours are searched (default 'train'); with "
            '--image-folder, these are the photos themselves',
        )
    if kind in _WITH_IMAGES:
        parser.add_argument(
            '--images',
            nargs='+',
            metavar='FILE',
            help='images of the data, by path or by its last parts, such as cat/17.jpg '
            '(default: evenly spaced ones)',
        )
        parser.add_argument(
            '--count',
            type=positive,
            default=4,
            help='number of images without --images (default %(default)s)',
        )


def _add_prediction_options(parser: argparse.ArgumentParser) -> None:
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


def _show_predictions(args: argparse.Namespace) -> None:
    args.backbone = None
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


def _show(args: argparse.Namespace) -> None:
    photos = getattr(args, 'image_folder', None)
    if photos is not None and len(photos) > 1:
        raise UserError(f'--image-folder {" ".join(photos)}: expected one folder.')
    args.image_folder = None
    formats = FigureCanvasBase.get_supported_filetypes()
    if args.out and Path(args.out).suffix[1:] not in formats:
        raise UserError(f'--out {args.out}: expected one of .{", .".join(formats)}.')
    options = {name: value for name, value in vars(args).items() if name in _ARGUMENTS}
    if args.kind != 'filters':
        options['image_folder'] = photos and photos[0]
    if args.kind in _WITH_FEATURES:
        options['out'] = args.features
    cfg = load_feature_config(args)
    out = Path(args.out or Path(cfg.work_dir, f'{args.kind}.png'))
    figure = _PLOTS[args.kind](cfg, args.checkpoint, trust=args.trust, **options)
    out.parent.mkdir(parents=True, exist_ok=True)
    with paper_style():
        figure.savefig(out)
    print(out)


def main(argv: Sequence[str] | None = None) -> None:
    """Run ``mmrot show``."""
    args = _build_parser().parse_args(argv)
    with report_errors():
        if args.kind == 'predictions':
            _show_predictions(args)
        else:
            _show(args)
