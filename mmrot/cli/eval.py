"""Evaluate a pretrained backbone with probes, kNN, SVMs, detection or segmentation.

Prints the table of the paper with the measured row next to the published ones, and
writes it to results.json and results.md in the work directory.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mmrot.apis import evaluate_features
from mmrot.config import config_path, find_config
from mmrot.errors import UserError

from .errors import report_errors
from .extract import feature_options, load_feature_config
from .launch import launch
from .parser import config_options, positive
from .table import combine
from .train import train, train_options


class Kind(NamedTuple):
    """A kind of evaluation: what it is, its default config, and notes for ``--help``."""

    title: str
    config: str
    notes: str = ''
    trains: bool = True  # trains the network of the config; others evaluate features


KINDS = {
    'linear': Kind(
        'linear classifiers on the layers of a frozen backbone (Tables 5 and 6)',
        'classification/alexnet_linear_in1k.py',
    ),
    'nonlinear': Kind(
        "AlexNet's own layers after conv4 and conv5 of a frozen AlexNet (Table 4)",
        'classification/alexnet_nonlinear_in1k.py',
    ),
    'cifar10': Kind(
        'classifiers on the blocks of a NIN, CIFAR-10 (Tables 1 and 3)',
        'classification/nin4_nonlinear_cifar10.py',
    ),
    'semi-supervised': Kind(
        'RotNet + conv with K labelled images per class, CIFAR-10 (Figure 5b)',
        'classification/nin4_semi_supervised_cifar10.py',
        'Runs K = 5000, 1000, 400, 100 and 20, or the K of\n'
        '  --cfg-options train_dataloader.dataset.num_per_class=K\n'
        'each in WORK_DIR/<K>per_class, and writes all of them to table.json and table.md in\n'
        'WORK_DIR.',
    ),
    'detection': Kind(
        'object detection with a pretrained backbone (Tables 7 and 8)',
        'detection/faster_rcnn_alexnet_voc07.py',
        'Other configs, in benchmarks/detection: fast_rcnn_alexnet_voc07.py (as in the paper, on\n'
        'the output of `mmrot proposals`), faster_rcnn_r50_c4_24k_voc0712.py and\n'
        "mask_rcnn_r50_fpn_1x_coco.py. AlexNet's batch norm is folded, its weights are rescaled.\n"
        'For your own classes: --cfg-options model.roi_head.bbox_head.num_classes=1 and so on.',
    ),
    'segmentation': Kind(
        'semantic segmentation with a pretrained backbone (Table 7)',
        'segmentation/fcn32s_alexnet_voc12.py',
        'Other configs, in benchmarks/segmentation: fcn_r50_d8_4xb4_20k_voc12aug.py and\n'
        "fcn_r50_d8_4xb2_40k_cityscapes.py. AlexNet's batch norm is folded, its weights are\n"
        'rescaled, and fc6 and fc7 become convolutions. For your own data, write a config like\n'
        'the one in docs/segmentation.md.',
    ),
    'voc07': Kind(
        'VOC 2007 classification with a pretrained AlexNet (Table 7)',
        'classification/alexnet_fc6_8_voc07.py',
        'Other config, in benchmarks/classification: alexnet_all_voc07.py trains all layers.\n'
        "AlexNet's batch norm is folded and its weights are rescaled. With --labelled-folder,\n"
        'each photo has one class, and softmax replaces the sigmoid per class.',
    ),
    'knn': Kind(
        'kNN on the features of the last stage',
        'classification/resnet50_knn_in1k.py',
        'Cosine similarity, votes weighted with a temperature of 0.07. Any config with labelled\n'
        'training and test data will do, such as those of probes and of pretraining.',
        trains=False,
    ),
    'svm': Kind(
        'linear SVMs, one per class, on the features of each stage (VOC 2007)',
        'classification/resnet50_svm_voc07.py',
        'Reports the mean average precision as the area under the interpolated precision-recall\n'
        'curve, as in the source, as the area under the curve itself, and by 11 points.\n'
        'Configs as for knn. Features and finished classes are kept in the work directory, so\n'
        'that an interrupted run resumes.',
        trains=False,
    ),
    'lowshot': Kind(
        'linear SVMs on k positives and 19k negatives per class (VOC 2007)',
        'classification/resnet50_low_shot_voc07.py',
        'Mean of 5 draws, both at the cost that is best on the test images, as in the source,\n'
        'and at the cost chosen on the training images that were not drawn. Measures, configs\n'
        'and resuming as for svm.',
        trains=False,
    ),
}
_COUNT = 'train_dataloader.dataset.num_per_class'
_COUNTS = (5000, 1000, 400, 100, 20)  # with too few images, the first run fails


def _build_parser() -> argparse.ArgumentParser:
    description, _, details = __doc__.partition('\n\n')
    parser = argparse.ArgumentParser(prog='mmrot eval', description=description)
    kinds = parser.add_subparsers(dest='kind', required=True, metavar='KIND')
    for name, kind in KINDS.items():
        child = kinds.add_parser(
            name,
            help=kind.title,
            usage=f'mmrot eval {name} CHECKPOINT [GPUS] [CONFIG] [options]',
            description=f'{kind.title[0].upper()}{kind.title[1:]}.\n\n{details}',
            epilog=kind.notes,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[config_options(), train_options() if kind.trains else feature_options()],
        )
        child.set_defaults(result_table=kind.trains)
        child.add_argument(
            'checkpoint',
            metavar='CHECKPOINT',
            help="pretraining checkpoint, bare backbone, or 'random'; 'random-rescaled' if the "
            'config rescales',
        )
        child.add_argument(
            'gpu_count', metavar='GPUS', nargs='?', type=positive, help='same as --gpus, default 1'
        )
        child.add_argument('config_name', metavar='CONFIG', nargs='?', help='same as --config')
        child.add_argument(
            '--config',
            help=f'config file, or a name from `mmrot list` (default benchmarks/{kind.config})',
        )
        if name in ('knn', 'lowshot'):
            child.add_argument(
                '--k',
                nargs='+',
                type=positive,
                metavar='K',
                help='numbers of neighbours (default 10 20 100 200)'
                if name == 'knn'
                else 'numbers of positives per class (default 1 2 4 8 16 32 64 96)',
            )
        if not kind.trains:
            child.add_argument(
                '--overwrite',
                action='store_true',
                help='replace the results of an earlier run; its features are used again',
            )
        if name in ('svm', 'lowshot'):
            child.add_argument(
                '--jobs',
                type=positive,
                metavar='N',
                help='processes that train SVMs (default: one per core)',
            )
    return parser


def _work_dir(args: argparse.Namespace) -> Path:
    """Return the default work directory: ``work_dirs/<config>/<run>[_seed<N>][_<kind>]``.

    The run of ``work_dirs/nin4_cifar10/epoch_100.pth`` is ``nin4_cifar10_epoch_100``.
    """
    checkpoint = Path(args.checkpoint)
    run = checkpoint.name.removesuffix('.pth')
    if checkpoint.is_file():
        run = f'{checkpoint.resolve().parent.name}_{run}'
    seed = (args.cfg_options or {}).get('randomness.seed')
    if seed is not None:
        run += f'_seed{seed}'
    if not KINDS[args.kind].trains:  # several kinds share a config
        run += f'_{args.kind}'
    return Path('work_dirs', Path(args.config).stem, run)


def _evaluate_counts(args: argparse.Namespace, argv: Sequence[str]) -> None:
    """Run one evaluation for each number of labelled images, then collect their results."""
    asked = (args.cfg_options or {}).get(_COUNT)
    for count in _COUNTS if asked is None else [asked]:
        command = [sys.executable, '-m', 'mmrot.cli', 'eval', 'cifar10', *argv[1:]]
        command += ['--config', args.config, '--work-dir', f'{args.work_dir}/{count}per_class']
        status = subprocess.run([*command, '--cfg-options', f'{_COUNT}={count}']).returncode
        if status:
            sys.exit(status)
    # including the results of earlier calls
    combine(sorted(Path(args.work_dir).glob('*per_class/results.json')), args.work_dir)


def main(argv: Sequence[str] | None = None) -> None:
    """Run ``mmrot eval``."""
    argv = sys.argv[1:] if argv is None else argv
    args = _build_parser().parse_args(argv)
    with report_errors():
        default = config_path(f'benchmarks/{KINDS[args.kind].config}')
        args.config = find_config(args.config or args.config_name or default)
        args.gpus = args.gpus or args.gpu_count or 1
        args.work_dir = args.work_dir or str(_work_dir(args))
        args.backbone = args.checkpoint
        if (
            args.checkpoint not in ('random', 'random-rescaled')
            and '://' not in args.checkpoint
            and not Path(args.checkpoint).is_file()
        ):
            raise UserError(f"CHECKPOINT={args.checkpoint} is neither a file nor 'random'.")
        if args.kind == 'semi-supervised':
            _evaluate_counts(args, argv)
        elif launch(args, 'eval', argv):
            pass
        elif KINDS[args.kind].trains:
            train(args)
        else:
            evaluate_features(
                args.kind,
                load_feature_config(args),
                args.checkpoint,
                args.work_dir,
                args.stages,
                args.pool,
                getattr(args, 'k', None),
                getattr(args, 'jobs', None) or -1,
                args.trust,
                args.overwrite,
            )
