"""Find mmrot's configs, in a checkout or in an installed wheel."""

import os
import traceback
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mmrot.errors import DISTRIBUTIONS, UserError

if TYPE_CHECKING:
    from mmengine.config import Config

_CONFIG_DIR = Path(__file__).resolve().parent / 'configs'


def list_configs() -> list[str]:
    """List mmrot's experiment configs.

    Returns:
        Sorted paths relative to the config folder, without the fragments in
        ``_base_``, such as ``'rotnet/alexnet_in1k.py'``. To inherit from one, write
        ``_base_ = 'mmrot::rotnet/alexnet_in1k.py'``.

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
    """Return the absolute path of one of mmrot's configs.

    Use it as ``_base_`` under the launcher of another OpenMMLab project, which does not
    know ``mmrot::`` bases before mmrot is imported.

    Args:
        name: Path relative to the config folder, such as
            ``'rotnet/alexnet_in1k.py'`` or ``'_base_/models/rotnet_alexnet.py'``.

    Returns:
        The absolute path.

    Raises:
        FileNotFoundError: If there is no such config. The message lists the most
            similar names.

    Example:
        >>> config_path('rotnet/alexnet_in1k.py').endswith('alexnet_in1k.py')
        True
    """
    path = Path(os.path.normpath(_CONFIG_DIR / name))
    if path.is_file() and path.is_relative_to(_CONFIG_DIR):
        return str(path)
    close = get_close_matches(name, list_configs(), n=3) or list_configs()
    raise FileNotFoundError(f"mmrot has no config '{name}'. Similar ones: {', '.join(close)}")


def find_config(name: str) -> str:
    """Return the path of a config file.

    Args:
        name: Path of a file, or the name of one of mmrot's configs with or without
            ``mmrot::``.

    Raises:
        UserError: If there is neither.
    """
    shipped = name.removeprefix('mmrot::')
    if Path(name).is_file():
        return name
    if shipped in list_configs():
        return config_path(shipped)
    stems = {Path(config).stem: config for config in list_configs()}
    close = [stems[stem] for stem in get_close_matches(Path(shipped).stem, stems, n=3)]
    close = close or get_close_matches(shipped, list_configs(), n=3)
    raise UserError(
        f'{name} is neither a file nor one of the configs in `mmrot list`.'
        + (f' Did you mean {" or ".join(close)}?' if close else '')
    )


def read_config(name: str) -> 'Config':
    """Read a config.

    Args:
        name: See :func:`find_config`.

    Raises:
        UserError: If there is no such config, or its code fails; the message names the line.
    """
    from mmengine.config import Config  # `mmrot list` needs no mmengine

    file = find_config(name)
    try:
        return Config.fromfile(file)
    except (UserError, OSError):
        raise
    except ImportError as error:  # of a base, by the name of its distribution or package
        missing = [
            package
            for package, distribution in DISTRIBUTIONS.items()
            if find_spec(package) is None and f'{package}::' in Path(file).read_text()
        ]
        if not missing:
            raise
        raise UserError(
            f'{file} needs {missing[0]}: pip install {DISTRIBUTIONS[missing[0]]}'
        ) from error
    except SyntaxError as error:
        raise UserError(f'{file}, line {error.lineno}: {error.msg}.') from error
    except Exception as error:
        lines = [
            frame.lineno
            for frame in traceback.extract_tb(error.__traceback__)
            if Path(frame.filename).resolve() == Path(file).resolve()
        ]
        where = f'{file}, line {lines[-1]}' if lines else file
        raise UserError(f'{where}: {type(error).__name__}: {error}') from error
