"""Where mmrot's configs are: in a checkout and in an installed wheel alike."""

import os
from difflib import get_close_matches
from pathlib import Path

_CONFIG_DIR = Path(__file__).resolve().parent / 'configs'


def list_configs() -> list[str]:
    """List mmrot's experiment configs.

    Returns:
        list[str]: Names relative to the config folder, sorted, without the
        fragments in ``_base_``: ``['rotnet/alexnet_in1k.py', ...]``. Those in a
        folder can be inherited by ``mmrot::``; mmengine takes no other names.

    Example:
        >>> 'rotnet/alexnet_in1k.py' in list_configs()
        True
    """
    return sorted(
        path.relative_to(_CONFIG_DIR).as_posix()
        for path in _CONFIG_DIR.rglob('*.py')
        if '_base_' not in path.relative_to(_CONFIG_DIR).parts
    )


def config_path(name: str) -> str:
    """Give the absolute path of one of mmrot's configs.

    Under the launcher of another mm project, where ``mmrot::`` bases are not
    known before mmrot is imported, this path serves as ``_base_``.

    Args:
        name (str): Path relative to the config folder, such as
            ``'rotnet/alexnet_in1k.py'`` or
            ``'_base_/models/rotnet_alexnet.py'``.

    Returns:
        str: The absolute path.

    Raises:
        FileNotFoundError: If there is no such config; names the closest ones.

    Example:
        >>> config_path('rotnet/alexnet_in1k.py').endswith('alexnet_in1k.py')
        True
    """
    path = Path(os.path.normpath(_CONFIG_DIR / name))
    if path.is_file() and path.is_relative_to(_CONFIG_DIR):
        return str(path)
    close = get_close_matches(name, list_configs(), n=3) or list_configs()
    raise FileNotFoundError(f"mmrot has no config '{name}'; expected one of: {', '.join(close)}")
