"""Weight conversions, mostly from state dict to state dict."""

from .absorb_bn import absorb_bn
from .export import export_backbone
from .fold_std import fold_std
from .foreign import import_rotnet
from .fully_convolutional import fully_convolutional
from .network import network_config
from .rescale import random_rescaled, rescale

__all__ = [
    'absorb_bn',
    'export_backbone',
    'fold_std',
    'fully_convolutional',
    'import_rotnet',
    'network_config',
    'random_rescaled',
    'rescale',
]
