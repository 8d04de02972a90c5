"""Arguments that several commands share."""

import argparse
from typing import Any

from mmengine.config import DictAction


def positive(text: str) -> int:
    """Convert an argument to an integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text} is not an integer of at least 1')
    return int(text)


class _Options(DictAction):
    """mmengine's ``KEY=VALUE`` options, extended to paths with spaces."""

    @staticmethod
    def _parse_iterable(value: str) -> Any:
        if ' ' in value and not set('[](),') & set(value):
            return DictAction._parse_int_float_bool(value.strip('\'"'))
        return DictAction._parse_iterable(value)

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None):
        for text in values:
            if '=' not in text:
                parser.error(f'argument {option_string}: {text!r} is not of the form key=value')
        super().__call__(parser, namespace, values, option_string)


class _OneOrTwo(argparse.Action):
    """A list of one or two values."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None):
        if len(values) > 2:
            parser.error(f'argument {option_string}: expected one or two values')
        setattr(namespace, self.dest, values)


def gpus_option() -> argparse.ArgumentParser:
    """Return a parent parser with ``--gpus``, see :func:`mmrot.cli.launch.launch`."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        '--gpus',
        type=positive,
        metavar='N',
        help='start N processes with torchrun, one per GPU, or on the CPU if there is no GPU; '
        'environment: PORT (29500), NNODES, NODE_RANK, MASTER_ADDR',
    )
    return parser


def image_folder_option() -> argparse.ArgumentParser:
    """Return a parent parser with ``--image-folder``, for commands that need no labels."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        '--image-folder',
        nargs='+',
        action=_OneOrTwo,
        metavar='DIR',
        help='use the photos in DIR, nested folders included, or the shards of `mmrot pack` in '
        "DIR, instead of the config's dataset; no labels are needed. Training holds out every "
        '20th photo for validation, unless a second DIR is given for it',
    )
    return parser


def config_options() -> argparse.ArgumentParser:
    """Return a parent parser with the options that change a config and start a job."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument('--work-dir', help='folder for logs and checkpoints')
    parser.add_argument('--amp', action='store_true', help='mixed precision')
    parser.add_argument(
        '--labelled-folder',
        metavar='DIR',
        help="use the photos in DIR/train/<class>/ instead of the config's dataset, and those in "
        'DIR/val/<class>/ or DIR/test/<class>/ for validation',
    )
    parser.add_argument(
        '--image-size',
        type=positive,
        metavar='PIXELS',
        help='side to which images are cropped; other resizing steps change by the same factor',
    )
    parser.add_argument(
        '--in-memory',
        action='store_true',
        help='keep the images, which must be small, in memory (on the GPU if there is one) and '
        'augment whole batches there',
    )
    parser.add_argument(
        '--trust',
        action='store_true',
        help='load checkpoints that contain more than weights; such files can run arbitrary code',
    )
    parser.add_argument(
        '--no-pin-memory', action='store_true', help='turn off pin_memory in the dataloaders'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=_Options,
        metavar='KEY=VALUE',
        help='override settings of the config: model.angles=0,180 data_root=/data/imagenet; lists '
        'as key="[a,b]" or key=a,b. val_dataloader and val_evaluator settings also apply to '
        'test_* if the config validates and tests on the same data',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='launcher that started this process',
    )
    # torch.distributed.launch passes it; torchrun does not
    parser.add_argument(
        '--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS
    )
    return parser


def job_parser(
    command: str, description: str, *parents: argparse.ArgumentParser
) -> argparse.ArgumentParser:
    """Build the parser of a command that runs one config.

    Args:
        command: Name of the command.
        description: What it does.
        *parents: Parent parsers with further options.
    """
    parser = argparse.ArgumentParser(
        prog=f'mmrot {command}',
        description=description,
        parents=[config_options(), image_folder_option(), *parents],
    )
    parser.add_argument('config', help='config file, or a name from `mmrot list`')
    parser.add_argument(
        '--backbone',
        metavar='FILE',
        help="pretrained backbone: a pretraining checkpoint, a bare backbone, or 'random' for "
        'random initialisation',
    )
    return parser
