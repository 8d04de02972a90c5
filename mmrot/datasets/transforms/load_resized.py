import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmpretrain.datasets.transforms import RandomResizedCrop, ResizeEdge
from PIL import Image

from ..image_header import jpeg_shape
from .load_image import LoadImage

# Factors by which libjpeg reduces an image while it decodes.
_REDUCTIONS = (8, 4, 2)
# Top, left, height and width of a part of an image, and the height and width of the result.
Region = tuple[tuple[int, int, int, int], tuple[int, int]]


def load_resized(
    results: dict, region: Callable[[tuple[int, int]], Region], interpolation: str = 'bilinear'
) -> tuple[np.ndarray, tuple[int, int]]:
    """Load a region of an image and resize it with Pillow, antialiased.

    JPEGs are decoded at 1/8, 1/4 or 1/2 of their size if that does not require upsampling, which
    is several times as fast for photos of many megapixels. In photos, the result differs from that
    of a full decode by about 1 level of 255 on average, and by up to 60 at sharp edges. If the
    photo is stored upside down or mirrored, and its sides are not multiples of 8, the result is
    also shifted by less than a pixel (2 to 3 levels on average). All other images are decoded,
    cropped and resized as by the separate steps, bit for bit.

    Args:
        results: Sample with ``img_path``, and ``img_bytes`` if the file was already
            read, which is removed.
        region: Function that maps the height and width of the upright image to a ``Region``.
        interpolation: Name of a resampling filter of Pillow in lower case, such as ``'bicubic'``.

    Returns:
        The resized part (H, W, 3), BGR, and the height and width of the whole image.

    Raises:
        ImageError: If the file cannot be decoded.
    """
    load, path = LoadImage(), results['img_path']
    data = load.read(results)
    shape, reduction = jpeg_shape(io.BytesIO(data)), 1
    if shape is not None:
        box, size = region(shape)
        reduction = next((r for r in _REDUCTIONS if _covers(box, size, r)), 1)
    image = load.decode(path, data, reduction)
    if shape is None or image.shape[:2] != tuple(-(-side // reduction) for side in shape):
        # not a JPEG, or one whose orientation Pillow and OpenCV read differently
        image, reduction = image if reduction == 1 else load.decode(path, data), 1
        shape = image.shape[:2]
        box, size = region(shape)
    top, left, height, width = box
    y, x = top // reduction, left // reduction
    bottom, right = -(-(top + height) // reduction), -(-(left + width) // reduction)
    bounds = (
        left / reduction - x,
        top / reduction - y,
        (left + width) / reduction - x,
        (top + height) / reduction - y,
    )
    part = Image.fromarray(image[y:bottom, x:right])
    return np.array(
        part.resize(size[::-1], Image.Resampling[interpolation.upper()], bounds)
    ), shape


def _covers(box: tuple[int, int, int, int], size: tuple[int, int], reduction: int) -> bool:
    """Check that a part of an image is not smaller than the result after a reduction."""
    return box[2] >= size[0] * reduction and box[3] >= size[1] * reduction


def short_side_region(shape: tuple[int, int], short_side: int) -> Region:
    """Return the region with which ``ResizeEdge`` scales the short side.

    Args:
        shape: Height and width of the image.
        short_side: Short side of the result in pixels.
    """
    height, width = (short_side * side // min(shape) for side in shape)
    return (0, 0, *shape), (height, width)


class LoadResized(BaseTransform):
    """Load an image, and crop or resize it: two steps in one, see :func:`load_resized`.

    The random numbers are those of the second step alone.

    **Modified keys:** those of both steps.

    Args:
        resize: The second step, of the pillow backend. ``ResizeEdge`` scales the short edge.
    """

    def __init__(self, resize: RandomResizedCrop | ResizeEdge) -> None:
        self.resize = resize

    def _region(self, shape: tuple[int, int]) -> Region:
        if isinstance(self.resize, ResizeEdge):
            return short_side_region(shape, self.resize.scale)
        # takes an image for its shape
        box = self.resize.rand_crop_params(np.broadcast_to(np.uint8(0), shape))
        return box, self.resize.scale

    def transform(self, results: dict) -> dict:
        """Load and resize the image of a sample with ``img_path``.

        Raises:
            ImageError: If the file cannot be decoded.
        """
        image, shape = load_resized(results, self._region, self.resize.interpolation)
        results.update(img=image, ori_shape=shape, img_shape=image.shape)
        if isinstance(self.resize, ResizeEdge):
            height, width = image.shape[:2]
            results.update(
                img_shape=(height, width),
                scale=(width, height),
                scale_factor=(width / shape[1], height / shape[0]),
            )
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.resize})'


def fuse_loading(transforms: Sequence[Any]) -> list[Any]:
    """Fuse loading and resizing into one :class:`LoadResized` where possible.

    Args:
        transforms: The steps.

    Returns:
        The transforms. Pixels change only for JPEGs that are decoded at reduced size.
    """
    match transforms:
        case [LoadImage() as load, RandomResizedCrop() | ResizeEdge() as resize, *others] if (
            vars(load) == vars(LoadImage())
            and resize.backend == 'pillow'
            and getattr(resize, 'edge', 'short') == 'short'
            and type(resize) in (RandomResizedCrop, ResizeEdge)  # no subclass
        ):
            return [LoadResized(resize), *others]
    return list(transforms)
