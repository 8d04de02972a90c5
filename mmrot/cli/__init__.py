"""The command line: ``mmrot COMMAND``, or ``python -m mmrot.cli COMMAND``.

There is one module per command; only the one that runs is imported.
"""

import argparse
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO, TextIOWrapper
from types import ModuleType

from mmrot.version import __version__

COMMANDS = {
    'train': 'train a model of mmrot, mmpretrain, mmdet or mmseg from a config',
    'test': 'test a checkpoint',
    'eval': 'evaluate a pretrained backbone with probes, kNN, SVMs, detection or segmentation',
    'extract': 'extract image features with a pretrained backbone',
    'predict': 'predict the rotation angle of photos',
    'shortcut': 'check whether a network reads rotations from traces of JPEG compression',
    'table': 'collect the results of several runs in the tables of the papers',
    'convert': 'extract a backbone, fold batch norm, rescale, import, export',
    'show': 'plot attention, filters, features, neighbours, confused rotations or predictions',
    'check': 'list the image files of a folder that are damaged or cannot be decoded',
    'pack': 'pack a folder of photos into tar shards, for training on millions of photos',
    'proposals': 'compute selective search proposals for Fast R-CNN',
    'sbd': 'prepare the masks and lists of FCN-32s',
    'demo': 'pretrain a small network on digits and show what it learned',
    'list': 'list the configs',
    'doctor': 'check the installation',
}


def quiet_import(module: str) -> ModuleType:
    """Import a module without what it prints, such as "Could not import OneDL" of mmpretrain."""
    with redirect_stdout(StringIO()):
        return import_module(module)


def load_command(name: str) -> Callable[..., None]:
    """Import a command.

    Args:
        name: One of ``COMMANDS``.

    Returns:
        Its function ``main``, which takes the arguments, by default those of the process.
    """
    # mmcv's warning that its ops are not compiled; commands that need them raise their own error
    warnings.filterwarnings('ignore', 'Fail to import ``MultiScaleDeformableAttention``')
    return quiet_import(f'mmrot.cli.{name.replace("-", "_")}').main


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command.

    Args:
        argv: Name of the command and its arguments. Defaults to ``sys.argv[1:]``.
    """
    argv = [*(sys.argv[1:] if argv is None else argv)]  # `list` is a module of this package
    parser = argparse.ArgumentParser(
        prog='mmrot',
        usage='%(prog)s [-h] [--version] COMMAND ...',
        description='Self-supervised learning by rotation prediction.',
        epilog='commands:\n'
        + ''.join(f'  {name:18}{text}\n' for name, text in COMMANDS.items())
        + '\nmmrot COMMAND --help describes the options of a command.',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--version', action='version', version=f'mmrot {__version__}')
    parser.add_argument('command', choices=COMMANDS, metavar='COMMAND', help=argparse.SUPPRESS)
    command = parser.parse_args(argv[:1]).command
    sys.argv = ['mmrot', *argv]  # recorded with the results
    if isinstance(sys.stdout, TextIOWrapper):  # file names may be in other encodings
        sys.stdout.reconfigure(errors='backslashreplace')
    try:
        load_command(command)(argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # what reads the output, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
