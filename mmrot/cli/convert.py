"""Convert weights: extract a backbone, fold batch norm, rescale, import, export.

Each conversion verifies its result: every key is accounted for, the weights load
into the built network, and outputs are compared where both networks exist.
"""

import argparse
from collections.abc import Sequence

from mmrot.weights.convert import (
    convert_absorb_bn,
    convert_backbone,
    convert_fold_std,
    convert_fully_convolutional,
    convert_import,
    convert_rescale,
)
from mmrot.weights.export import STYLES
from mmrot.weights.foreign import FORMATS

from .errors import report_errors


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='mmrot convert',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument('source', metavar='IN', help='checkpoint to convert')
    shared.add_argument(
        'out', metavar='OUT', help='NAME.pth, written as NAME-<first 8 digits of its sha256>.pth'
    )
    shared.add_argument(
        '--trust',
        action='store_true',
        help='load a file that contains more than weights; such a file can run arbitrary code',
    )
    commands = parser.add_subparsers(dest='command', required=True, metavar='CONVERSION')
    command = commands.add_parser(
        'backbone', parents=[shared], help='extract the backbone of a pretraining checkpoint'
    )
    command.add_argument('--style', choices=STYLES, default='mmrot', help='names of the keys')
    command.add_argument(
        '--config',
        help='pretraining config, for networks other than AlexNet, NIN and ResNet if the '
        'checkpoint does not contain it',
    )
    command.set_defaults(run=convert_backbone)
    command = commands.add_parser(
        'absorb-bn', parents=[shared], help='fold the batch norms of AlexNet or NIN'
    )
    command.add_argument('--eps', type=float, help='epsilon of the batch norms (default 1e-5)')
    command.set_defaults(run=convert_absorb_bn)
    command = commands.add_parser(
        'rescale', parents=[shared], help='data-dependent rescaling (Krähenbühl et al., 2016)'
    )
    command.add_argument('--images', required=True, metavar='DIR', help='folder of photos')
    command.add_argument('--count', type=int, default=80, help='number of photos (default 80)')
    command.add_argument('--seed', type=int, default=0, help='seed of the random gradients')
    command.set_defaults(run=convert_rescale)
    command = commands.add_parser(
        'fold-std',
        parents=[shared],
        help='AlexNet for pixels that are not divided by their standard deviation',
    )
    command.set_defaults(run=convert_fold_std)
    command = commands.add_parser(
        'fully-convolutional',
        parents=[shared],
        help="convert AlexNet's fc6 and fc7 to convolutions",
    )
    command.set_defaults(run=convert_fully_convolutional)
    command = commands.add_parser(
        'import', parents=[shared], help='import a RotNet from the authors, MMSelfSup or VISSL'
    )
    command.add_argument(
        '--format',
        dest='fmt',
        choices=('auto', *FORMATS),
        default='auto',
        help='format of the file (default: detect)',
    )
    command.set_defaults(run=convert_import)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run ``mmrot convert``."""
    options = vars(_build_parser().parse_args(argv))
    del options['command']
    with report_errors():
        print(options.pop('run')(**options))
