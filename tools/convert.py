#!/usr/bin/env python
"""Convert weights: take out a backbone, absorb batch norm, rescale, ...

Each ends by verifying what it made: every key accounted for, the result loaded
into the built network, outputs compared where both ends exist.
"""

import argparse

from mmrot.cli import one_line_errors
from mmrot.weights.convert import (
    convert_absorb_bn,
    convert_backbone,
    convert_fully_convolutional,
    convert_import,
    convert_rescale,
    naming,
)
from mmrot.weights.export import STYLES
from mmrot.weights.foreign import FORMATS


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument('source', metavar='IN', help='checkpoint to convert')
    shared.add_argument(
        'out', metavar='OUT', help='NAME.pth, written as NAME-<first 8 of its sha256>.pth'
    )
    shared.add_argument(
        '--trust',
        action='store_true',
        help='load a file that holds more than weights; it can run any code then',
    )
    commands = parser.add_subparsers(dest='command', required=True, metavar='SUBCOMMAND')
    command = commands.add_parser(
        'backbone', parents=[shared], help='the backbone of a pretraining checkpoint'
    )
    command.add_argument('--style', choices=STYLES, default='mmrot', help='names of the keys')
    command.add_argument(
        '--config', help='of the pretraining, where the network is no AlexNet, NIN or ResNet'
    )
    command.set_defaults(run=convert_backbone)
    command = commands.add_parser(
        'absorb-bn', parents=[shared], help='fold batch norm into the layers, AlexNet and NIN'
    )
    command.add_argument('--eps', type=float, help='of the batch norms (default 1e-5)')
    command.set_defaults(run=convert_absorb_bn)
    command = commands.add_parser(
        'rescale', parents=[shared], help='data-dependent rescaling (Krähenbühl et al., 2016)'
    )
    command.add_argument('--images', required=True, metavar='DIR', help='folder of photographs')
    command.add_argument('--count', type=int, default=64, help='how many to take (default 64)')
    command.add_argument('--seed', type=int, default=0, help='of the random gradients')
    command.set_defaults(run=convert_rescale)
    command = commands.add_parser(
        'fully-convolutional', parents=[shared], help="AlexNet's fc6 and fc7 as convolutions"
    )
    command.set_defaults(run=convert_fully_convolutional)
    command = commands.add_parser(
        'import', parents=[shared], help='a RotNet of the authors, MMSelfSup or VISSL'
    )
    command.add_argument(
        '--format', dest='fmt', choices=('auto', *FORMATS), default='auto', help='of the file'
    )
    command.set_defaults(run=convert_import)
    with one_line_errors():
        options = vars(parser.parse_args())
        options.pop('command')
        with naming(options['source']):
            print(options.pop('run')(**options))


if __name__ == '__main__':
    main()
