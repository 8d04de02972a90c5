from collections.abc import Iterable, Iterator
from contextlib import contextmanager

# Packages of OpenMMLab and their maintained distributions.
DISTRIBUTIONS = {
    'mmengine': 'onedl-mmengine',
    'mmcv': 'onedl-mmcv',
    'mmpretrain': 'onedl-mmpretrain',
    'mmdet': 'onedl-mmdetection',
    'mmseg': 'onedl-mmsegmentation',
}


class UserError(ValueError):
    """An error in what the user passed in: an option, a config value, a file.

    The command line prints it in one line, without a traceback.
    """


class ImageError(UserError):
    """An image file that cannot be decoded. Training replaces it by another one."""


@contextmanager
def prefix_errors(prefix: str) -> Iterator[None]:
    """Prepend a prefix, such as the name of a file, to the message of every UserError."""
    try:
        yield
    except UserError as error:
        if prefix in str(error):
            raise
        raise UserError(f'{prefix}: {error}') from error


def first_few(items: Iterable[object], count: int = 5) -> str:
    """Join the first items of a list and the number of the others, for an error message."""
    names = [str(item) for item in items]
    return ', '.join(names[:count]) + f' and {len(names) - count} more' * (len(names) > count)
