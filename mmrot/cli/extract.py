"""Extract image features with a pretrained backbone.

Writes OUT/<stage>.npy, float32 of shape (images, features), and OUT/images.csv with
file names and labels, in the order of the dataset. An interrupted extraction resumes.
"""

import argparse
import sys
from collections.abc import Sequence

from mmengine.config import Config
from mmengine.dist import is_main_process

from mmrot.apis import extract_features
from mmrot.engine.distributed import init_process_group
from mmrot.errors import UserError

from .config import load_config
from .errors import report_errors
from .launch import launch
from .parser import config_options, gpus_option, image_folder_option, positive


def _pool(text: str) -> str | int:
    return text if text == 'avg' else positive(text)


def feature_options() -> argparse.ArgumentParser:
    """Return a parent parser with the options of feature extraction."""
    parser = argparse.ArgumentParser(add_help=False, parents=[gpus_option()])
    parser.add_argument(
        '--stages',
        nargs='+',
        metavar='STAGE',
        help='stages by name (conv1, block2, the names of a probe) or index in out_indices',
    )
    parser.add_argument(
        '--pool',
        type=_pool,
        metavar='avg|N',
        help='global average pooling, or average pooling to about N elements per image',
    )
    return parser


def load_feature_config(args: argparse.Namespace) -> Config:
    """Read the config of a command and initialise its distributed job, if any.

    Args:
        args: Arguments of a parser with :func:`feature_options`.

    Raises:
        UserError: If an option applies only to training.
    """
    for name in ('amp', 'in_memory'):
        if getattr(args, name):
            raise UserError(f'--{name.replace("_", "-")} applies only to training.')
    args.backbone = None
    cfg = load_config(args)
    if args.launcher != 'none':
        init_process_group(args.launcher)
    return cfg


def main(argv: Sequence[str] | None = None) -> None:
    """Run ``mmrot extract``."""
    parser = argparse.ArgumentParser(
        prog='mmrot extract',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[config_options(), image_folder_option(), feature_options()],
    )
    parser.add_argument('config', help='config file, or a name from `mmrot list`')
    parser.add_argument('checkpoint', help="pretraining checkpoint, bare backbone, or 'random'")
    parser.add_argument('--out', required=True, metavar='DIR', help='output folder')
    parser.add_argument(
        '--split',
        choices=['train', 'val', 'test'],
        default='test',
        help="data of the config to use without --image-folder (default 'test')",
    )
    argv = sys.argv[2:] if argv is None else argv
    args = parser.parse_args(argv)
    photos, args.image_folder = args.image_folder, None
    if photos is not None and len(photos) > 1:
        parser.error('argument --image-folder: expected one folder')
    with report_errors():
        if launch(args, 'extract', argv):
            return
        features = extract_features(
            load_feature_config(args),
            args.checkpoint,
            args.out,
            args.split,
            photos and photos[0],
            args.stages,
            args.pool,
            args.trust,
        )
        if is_main_process():
            for stage, array in features.stages.items():
                print(
                    f'{args.out}/{stage}.npy: {array.shape[0]} images, {array.shape[1]} features'
                )
