"""Check the size of an image by its header, before it is decoded."""

import warnings
from pathlib import Path
from typing import BinaryIO

from PIL import Image

# More than cameras have; OpenCV needs 400 MB for as many. Compressed, they can be 400 kB.
MAX_PIXELS = 2**27


def header_problem(file: str | Path | BinaryIO) -> str:
    """Describe what is wrong with the header of an image.

    Args:
        file: Path, or binary file.

    Returns:
        A description if the header cannot be read or the image has more than ``MAX_PIXELS``
        pixels, otherwise an empty string.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of sizes, which are checked here
            with Image.open(file) as image:
                width, height = image.size
    except Image.DecompressionBombError as error:
        return f'more than {MAX_PIXELS:,} pixels: {str(error).rstrip(".")}'
    except Exception as error:  # Pillow raises almost any of them
        return f'no image header that Pillow can read: {type(error).__name__}'
    if width * height > MAX_PIXELS:
        return f'{width}×{height} pixels, more than {MAX_PIXELS:,}'
    return ''
