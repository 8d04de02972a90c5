"""Read the header of an image, before it is decoded."""

import warnings
from pathlib import Path
from typing import BinaryIO

from PIL import ExifTags, Image

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


def jpeg_shape(file: str | Path | BinaryIO) -> tuple[int, int] | None:
    """Return the height and width of a JPEG as OpenCV decodes it, that is, upright.

    Args:
        file: Path, or binary file, whose header Pillow can read.

    Returns:
        Height and width in pixels, or None for another format.
    """
    with Image.open(file) as image:
        if image.format not in ('JPEG', 'MPO'):  # phones write MPO: several JPEGs in one file
            return None
        width, height = image.size
        try:
            orientation = image.getexif().get(ExifTags.Base.Orientation)
        except Exception:  # damaged EXIF, which OpenCV ignores too
            orientation = 1
    return (width, height) if orientation in (5, 6, 7, 8) else (height, width)
