"""mmrot: self-supervised learning by rotation prediction for OpenMMLab."""

import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .config import config_path, list_configs
from .packages import shared_folders_message
from .version import __version__

if _message := shared_folders_message():
    warnings.warn(_message, stacklevel=2)

with suppress(ModuleNotFoundError):  # `mmrot doctor` reports what is missing
    from mmengine.config import utils as _config_utils

    # mmengine resolves 'package::config' bases for the packages in this map only. OpenMMLab's
    # mmengine would look for an editable mmrot beside its metadata; for a value that is not a
    # distribution, it searches the import path.
    _config_utils.MODULE2PACKAGE.setdefault('mmrot', 'mmrot.version')
    # The default value, 'mmsegmentation', is a distribution that the onedl fork does
    # not provide; the module name works with either distribution.
    _config_utils.MODULE2PACKAGE['mmseg'] = 'mmseg'

if TYPE_CHECKING:
    from .apis import RotationInferencer, extract_features, get_model, list_models

__all__ = [
    'RotationInferencer',
    '__version__',
    'config_path',
    'extract_features',
    'get_model',
    'list_configs',
    'list_models',
]


def __getattr__(name: str) -> Any:
    """Import the parts that need torch on first access, to keep ``import mmrot`` fast."""
    if name in __all__:
        from . import apis

        return getattr(apis, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
