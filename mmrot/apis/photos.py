"""Read photos from wherever they come."""

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

# A path or address, an array, a PIL image or a tensor.
Photo: TypeAlias = str | os.PathLike | np.ndarray | Image.Image | Tensor

MAX_ASPECT_RATIO = 100  # resizing the shorter side to 256 pixels needs 20 MB


def list_photos(inputs: Any) -> Iterator[Photo]:
    """List single photos.

    Args:
        inputs: A photo, a folder, an array (N, H, W, C), a tensor (N, C, H, W), or a list of
            those. Of a folder, all files are listed by path, nested folders included, without
            hidden ones.

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
    """Read a photo, upright by its EXIF orientation.

    Transparency is dropped, 16 bits per channel are reduced to 8, and of several frames the first
    is read.

    Args:
        source: Path or address of a file that Pillow can read; array (H, W) or (H, W, C) with
            channels BGR, as OpenCV reads them; PIL image; or tensor (H, W) or (C, H, W) with
            channels RGB. C is 1, 3 or 4. Arrays and tensors have integers of 8 or 16 bits without
            sign, or floating-point values from 0 to 1.

    Returns:
        (H, W, 3), uint8, BGR. JPEG files have the pixels that OpenCV reads.

    Raises:
        UserError: If the photo cannot be read, or is more than 100 times as long as wide.
        TypeError: If it is of another type.
    """
    if isinstance(source, str | os.PathLike):
        pixels = _read_file(str(source))
    elif isinstance(source, Image.Image):
        with _readable():
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
            f'a photo is a path, array, PIL image or tensor, not a {type(source).__name__}.'
        )
    height, width = pixels.shape[:2]
    if max(height, width) > MAX_ASPECT_RATIO * min(height, width):
        raise UserError(
            f'{width}×{height} pixels: one side is over {MAX_ASPECT_RATIO} times the other.'
        )
    return pixels


def _read_file(name: str) -> np.ndarray:
    with _readable():
        return _from_pil(Image.open(io.BytesIO(get(name))))


@contextmanager
def _readable() -> Iterator[None]:
    """Turn any error into a UserError; damaged files raise almost all kinds."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # large photos, damaged metadata
            yield
    except UserError:
        raise
    except Image.UnidentifiedImageError as error:
        raise UserError('not an image that Pillow can read.') from error
    except Exception as error:
        reason = getattr(error, 'strerror', None) or error
        raise UserError(f'cannot be read: {str(reason).rstrip(".")}.') from error


def _from_pil(image: Image.Image) -> np.ndarray:
    image = ImageOps.exif_transpose(image)
    if image.mode == 'F':
        raise UserError('floating-point pixels in a file: their range is unknown.')
    if image.mode.startswith('I'):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise UserError('32-bit pixels: their range is unknown.')
        return _from_array(values.astype(np.uint16))
    return np.ascontiguousarray(np.asarray(image.convert('RGB'))[..., ::-1])


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
            raise UserError('floating-point values are not all from 0 to 1.')
        array = (array.astype(np.float32) * 255).round().astype(np.uint8)
    elif array.dtype != np.uint8:
        raise UserError(f'{array.dtype} values: expected uint8, uint16, or floats from 0 to 1.')
    if array.shape[2] == 1:
        return np.repeat(array, 3, axis=2)
    return np.ascontiguousarray(array[..., :3])
