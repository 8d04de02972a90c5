"""Read photos from files, URLs, arrays, tensors and PIL images."""

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from mmengine.fileio import get
from PIL import Image, ImageOps
from torch import Tensor

from mmrot.errors import UserError

# A path or URL, an array, a PIL image or a tensor.
Photo: TypeAlias = str | os.PathLike | np.ndarray | Image.Image | Tensor

MAX_ASPECT_RATIO = 100  # resizing the shorter side to 256 pixels needs 20 MB


def list_photos(inputs: Any) -> Iterator[Photo]:
    """Iterate over single photos.

    Args:
        inputs: A photo, a folder, an array (N, H, W, C), a tensor (N, C, H, W), or a list of
            those. Folders are searched recursively, in the order of paths; hidden files are
            skipped.

    Yields:
        Photos.

    Raises:
        UserError: If a folder has no files.
    """
    if isinstance(inputs, list | tuple):
        for item in inputs:
            yield from list_photos(item)
    elif isinstance(inputs, str | os.PathLike) and Path(inputs).is_dir():
        folder = Path(inputs)
        paths = [
            path
            for path in sorted(folder.rglob('*'))
            if path.is_file()
            and not any(part.startswith('.') for part in path.relative_to(folder).parts)
        ]
        if not paths:
            raise UserError(f'folder {folder} has no files.')
        yield from map(str, paths)
    elif isinstance(inputs, np.ndarray | Tensor) and inputs.ndim == 4:
        yield from inputs
    else:
        yield inputs


def read_photo(source: Photo) -> np.ndarray:
    """Read a photo and apply its EXIF orientation.

    The alpha channel is dropped, 16-bit channels are reduced to 8 bits, and only the first frame
    is read.

    Args:
        source: Path or URL of a file that Pillow can read; array (H, W) or (H, W, C) with
            channels BGR, as OpenCV reads them; PIL image; or tensor (H, W) or (C, H, W) with
            channels RGB. C is 1, 3 or 4. Arrays and tensors are uint8, uint16, or floating point
            from 0 to 1.

    Returns:
        (H, W, 3), uint8, BGR. JPEG files have the pixels that OpenCV reads.

    Raises:
        UserError: If the photo cannot be read, or one side is over 100 times the other.
        TypeError: If the type is not supported.
    """
    if isinstance(source, str | os.PathLike):
        pixels = _read_file(str(source))
    elif isinstance(source, Image.Image):
        pixels = _from_pil(source)
    elif isinstance(source, Tensor):
        array = source.detach().cpu().numpy()
        if array.ndim == 3:  # the first three channels from RGB to BGR
            array = np.moveaxis(array, 0, -1)
            array = array[..., [2, 1, 0]] if array.shape[-1] in (3, 4) else array
        pixels = _from_array(array)
    elif isinstance(source, np.ndarray):
        pixels = _from_array(source)
    else:
        raise TypeError(
            f'expected a path, array, PIL image or tensor, got a {type(source).__name__}.'
        )
    height, width = pixels.shape[:2]
    if max(height, width) > MAX_ASPECT_RATIO * min(height, width):
        raise UserError(
            f'{width}×{height} pixels: one side is over {MAX_ASPECT_RATIO} times the other.'
        )
    return pixels


def _read_file(name: str) -> np.ndarray:
    with _readable():
        image = Image.open(io.BytesIO(get(name)))
    return _from_pil(image)


@contextmanager
def _readable() -> Iterator[None]:
    """Convert any error to a UserError: in damaged files, Pillow raises almost any exception.

    Only for calls of Pillow and of the file backend, so that no error of our own is hidden.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # large photos, damaged metadata
            yield
    except Image.UnidentifiedImageError as error:
        raise UserError('not an image that Pillow can read.') from error
    except Exception as error:
        reason = getattr(error, 'strerror', None) or error
        raise UserError(f'cannot be read: {str(reason).rstrip(".")}.') from error


def _from_pil(image: Image.Image) -> np.ndarray:
    with _readable():
        image = ImageOps.exif_transpose(image)
        image.load()
        if not image.mode.startswith(('F', 'I')):
            image = image.convert('RGB')
    if image.mode == 'F':
        raise UserError('floating-point pixels in a file: their range is unknown.')
    if image.mode.startswith('I'):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise UserError('32-bit pixels: their range is unknown.')
        return _from_array(values.astype(np.uint16))
    return np.ascontiguousarray(np.asarray(image)[..., ::-1])


def _from_array(array: np.ndarray) -> np.ndarray:
    """Convert (H, W) or (H, W, C) to (H, W, 3), uint8."""
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or not array.size:
        raise UserError(
            f'shape {array.shape}: expected (H, W, C) of an array or (C, H, W) of a tensor, with '
            '1, 3 or 4 channels.'
        )
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    elif array.dtype.kind == 'f':
        if not ((array >= 0) & (array <= 1)).all():
            raise UserError('floating-point values are not all between 0 and 1.')
        array = (array.astype(np.float32) * 255).round().astype(np.uint8)
    elif array.dtype != np.uint8:
        raise UserError(f'{array.dtype} values: expected uint8, uint16, or floats from 0 to 1.')
    if array.shape[2] == 1:
        return np.repeat(array, 3, axis=2)
    return np.ascontiguousarray(array[..., :3])
