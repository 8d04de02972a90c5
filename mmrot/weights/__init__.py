"""Weight conversions, mostly from state dict to state dict."""

from .absorb_bn import absorb_bn
from .export import export_backbone
from .foreign import import_rotnet
from .fully_convolutional import fully_convolutional
from .network import network_config
from .rescale import rescale

__all__ = [
    'absorb_bn',
    'export_backbone',
    'fully_convolutional',
    'import_rotnet',
    'network_config',
    'rescale',
]
