"""mmrot: self-supervised learning by rotation prediction for OpenMMLab."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .config import config_path, list_configs
from .version import __version__

with suppress(ModuleNotFoundError):  # `mmrot doctor` reports what is missing
    from mmengine.config import utils as _config_utils

    # mmengine resolves 'package::config' bases for the packages in this map only.
    _config_utils.MODULE2PACKAGE.setdefault('mmrot', 'mmrot')
    # The map's own value, 'mmsegmentation', is a distribution that the onedl fork
    # does not have; the module name is found under either distribution.
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
    """Import what needs torch when it is used, so that ``import mmrot`` stays quick."""
    if name in __all__:
        from . import apis

        return getattr(apis, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
