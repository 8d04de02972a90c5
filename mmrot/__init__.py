"""mmrot: self-supervised learning by rotation prediction for OpenMMLab."""

from contextlib import suppress

from .config import config_path, list_configs
from .version import __version__

with suppress(ModuleNotFoundError):  # `mmrot doctor` reports what is missing
    from mmengine.config import utils as _config_utils

    # mmengine resolves 'package::config' bases for the packages in this map only.
    _config_utils.MODULE2PACKAGE.setdefault('mmrot', 'mmrot')
    # The map's own value, 'mmsegmentation', is a distribution that the onedl fork
    # does not have; the module name is found under either distribution.
    _config_utils.MODULE2PACKAGE['mmseg'] = 'mmseg'

__all__ = ['__version__', 'config_path', 'list_configs']
