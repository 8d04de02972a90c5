"""The rotation convention, stated once.

Label ``k`` of an angle set means that the copy was rotated **counter-clockwise**
by the ``k``-th angle of the set; with the default set that is k·90°. Multiples
of 90° consist of flips and transposes only (Section 2.2 of Gidaris et al.,
ICLR 2018), so no pixel value changes. The copies of a batch are image-major:
image 0 at every angle, then image 1, and so on.

Letters in shapes: N images, K rotations, C channels, H height, W width.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmrot.errors import UserError

QUARTER_TURNS = (0, 90, 180, 270)
EIGHTH_TURNS = (0, 45, 90, 135, 180, 225, 270, 315)


def check_angles(angles: Sequence[int]) -> tuple[int, ...]:
    """Check an angle set.

    Args:
        angles: At least two different multiples of 45 from 0 to 315, in degrees
            counter-clockwise. The position of an angle is its label.

    Returns:
        The angles as a tuple of integers.

    Raises:
        UserError: If the set is too short or an angle is invalid or repeated.

    Example:
        >>> check_angles([0, 180])
        (0, 180)
    """
    if isinstance(angles, str) or not isinstance(angles, Sequence) or len(angles) < 2:
        raise UserError(f'angles={angles!r} is not a sequence of two or more angles.')
    for angle in angles:
        if isinstance(angle, bool) or angle not in EIGHTH_TURNS:
            raise UserError(
                f'angle {angle!r} in angles={tuple(angles)} is not a multiple of 45 from 0 to 315.'
            )
    repeated = sorted({angle for angle in angles if list(angles).count(angle) > 1})
    if repeated:
        raise UserError(f'angle {repeated[0]} is repeated in angles={tuple(angles)}.')
    return tuple(int(angle) for angle in angles)


def needs_warp(angles: Sequence[int]) -> bool:
    """Return whether an angle set has diagonal angles: 45°, 135°, 225° or 315°."""
    return any(angle % 90 for angle in angles)


def quarter_turn(images: Tensor, k: int) -> Tensor:
    """Rotate images by k·90° counter-clockwise with flips and transposes.

    The three cases are those of Section 2.2 of the paper.

    Args:
        images: (..., H, W) of any dtype.
        k: Number of quarter turns, 0 to 3.

    Returns:
        (..., H, W) for even k, (..., W, H) for odd k; equal to
        ``torch.rot90(images, k, (-2, -1))``.

    Raises:
        UserError: If ``k`` is out of range.
    """
    if k == 0:
        return images
    if k == 1:
        return images.transpose(-2, -1).flip(-2)
    if k == 2:
        return images.flip((-2, -1))
    if k == 3:
        return images.flip(-2).transpose(-2, -1)
    raise UserError(f'k={k!r} is not 0, 1, 2 or 3.')


def central_square(images: Tensor, angle: int) -> Tensor:
    """Rotate by 0° or 45° and crop to the central square that stays filled.

    A square of side S rotated by 45° covers an upright central square of side
    S/√2 and no larger one. Rotating, cropping to that square and resizing back
    to S are one bicubic warp, for 0° as well as for 45°, so that both are
    interpolated alike. Bicubic, because at this scale a bilinear warp by 45°
    copies half of its pixels unblurred from the image: on photos the gradient
    energy of the two would differ by 15 % instead of 1 %.

    Args:
        images: (N, C, S, S), floating point or uint8.
        angle: 0 or 45, in degrees counter-clockwise.

    Returns:
        (N, C, S, S) of the same dtype; uint8 values are rounded and clamped.
    """
    cos = math.cos(math.radians(angle)) / math.sqrt(2)
    sin = math.sin(math.radians(angle)) / math.sqrt(2)
    # Output (x, y), y pointing down, to input: the inverse rotation.
    theta = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0]]).to(images.device, non_blocking=True)
    pixels = images if images.is_floating_point() else images.float()
    # Training calls this under autocast, which would round the grid to half precision.
    with torch.autocast(images.device.type, enabled=False):
        grid = F.affine_grid(
            theta.expand(len(images), 2, 3), list(images.shape), align_corners=False
        )
        # No sample is outside the image; 'border' is for the outer taps of the kernel.
        warped = F.grid_sample(
            pixels,
            grid.to(pixels.dtype),
            mode='bicubic',
            padding_mode='border',
            align_corners=False,
        )
    if not images.is_floating_point():
        warped = warped.round().clamp(0, 255)
    return warped.to(images.dtype)


def rotated_copies(
    images: Tensor,
    angles: Sequence[int] = QUARTER_TURNS,
    crop_upright: bool = True,
    memory_format: torch.memory_format = torch.preserve_format,
) -> Tensor:
    """Return one copy of each image for each angle.

    Without diagonals, images are only flipped and transposed. With diagonal angles, every copy is
    cropped to the square of :func:`central_square`, including the upright one unless
    ``crop_upright`` is false (the set of 8 rotations in Table 2 of the paper). That is our reading
    of Section 3.1, which crops the copies rotated by 45°, 135°, 225° and 315° only: taken
    literally, scale and sharpness would reveal the parity of the label.

    Args:
        images: (N, C, H, W), floating point or uint8.
        angles: Angle set, see :func:`check_angles`.
        crop_upright: Whether multiples of 90° are cropped as well if the set has a
            diagonal. False is the literal reading of the paper.
        memory_format: Memory format of the copies, that of ``images`` by default.

    Returns:
        (N·K, C, H, W), image-major, with the dtype and device of ``images``. The labels are
        :func:`rotation_labels`.

    Raises:
        UserError: If the images are not square and the set has an angle other
            than 0 and 180.

    Example:
        >>> rotated_copies(torch.rand(2, 3, 8, 8)).shape
        torch.Size([8, 3, 8, 8])
    """
    if images.ndim != 4:
        raise UserError(f'images of shape {tuple(images.shape)} are not (N, C, H, W).')
    n, c, height, width = images.shape
    _check_square(images, angles)
    sources = {0: images}
    if needs_warp(angles):
        starts = {angle % 90 for angle in angles if crop_upright or angle % 90}
        sources |= {start: central_square(images, start) for start in starts}
    if memory_format == torch.preserve_format:
        channels_last = images.is_contiguous(memory_format=torch.channels_last)
        memory_format = torch.channels_last if channels_last else torch.contiguous_format
    copies = torch.empty(
        (n * len(angles), c, height, width),
        dtype=images.dtype,
        device=images.device,
        memory_format=memory_format,
    )
    with_opencv = memory_format == torch.channels_last and _opencv_applies(images)
    for start, source in sources.items():
        turns = {label: angle // 90 for label, angle in enumerate(angles) if angle % 90 == start}
        if with_opencv:
            _rotate_with_opencv(source, turns, copies)
        else:
            for label, k in turns.items():
                copies[label :: len(angles)] = quarter_turn(source, k)
    return copies


def _check_square(images: Tensor, angles: Sequence[int]) -> None:
    if images.shape[-2] != images.shape[-1] and any(angle % 180 for angle in angles):
        raise UserError(
            f'images of shape {tuple(images.shape)} are not square, as angles={tuple(angles)} '
            f'require. Crop or resize them first.'
        )


def _opencv_applies(images: Tensor) -> bool:
    """Return whether OpenCV supports these images and is faster despite one call per image."""
    return (
        not torch.jit.is_tracing()
        and images.device.type == 'cpu'
        and images.dtype in (torch.uint8, torch.float32)
        and 1 < images.shape[1] <= 4
        and len(images) > 0
        and images.shape[2] * images.shape[3] >= 64 * 64
        and not images.requires_grad
        and not torch.compiler.is_compiling()
    )


# Codes of cv2.flip that rotate an image (k = 2) or its transpose (1 and 3): 0 for up and down, 1
# for left and right, -1 for both.
_FLIPS = {1: 0, 2: -1, 3: 1}


def _rotate_with_opencv(
    images: Tensor, turns: dict[int, int], copies: Tensor, table: np.ndarray | None = None
) -> None:
    """Write copies in channels-last memory format.

    PyTorch's strided copy is slow here: its inner loop spans only the channels of one pixel.

    Args:
        images: (N, C, H, W) on the CPU.
        turns: Number of quarter turns of each label to write.
        copies: (N·K, C, H, W) to write to.
        table: Lookup table (1, 256, C), or (1, 256, 1) for all channels, for the values of uint8
            images.
    """
    planar = images.stride(1) != 1
    sources = images.numpy() if planar else images.permute(0, 2, 3, 1).numpy()
    results = copies.unflatten(0, (len(images), -1)).permute(0, 1, 3, 4, 2).numpy()
    upright = next((label for label, k in turns.items() if k == 0), None)

    # One image at a time, which stays in the cache
    for pixels, result in zip(sources, results, strict=True):  # result: (K, H, W, C)
        first = None if upright is None else result[upright]
        if planar:
            pixels = cv2.merge(list(pixels), None if table is not None else first)
        if table is not None:
            pixels = cv2.LUT(pixels, table, first)
        elif first is not None and not planar:
            first[:] = pixels
        transposed = cv2.transpose(pixels)
        for label, k in turns.items():
            if k:
                cv2.flip(pixels if k == 2 else transposed, _FLIPS[k], result[label])


def normalised_copies(
    images: Tensor,
    mean: Tensor,
    std: Tensor,
    angles: Sequence[int] = QUARTER_TURNS,
    memory_format: torch.memory_format = torch.preserve_format,
) -> Tensor:
    """Return normalised copies of each image for each multiple of 90°.

    Flips and transposes commute with normalisation, so N images are normalised instead of N·K.

    Args:
        images: (N, C, H, W), floating point or uint8.
        mean: (C, 1, 1) or (1, 1, 1), float32.
        std: Of the same shape, float32.
        angles: Angle set without diagonals.
        memory_format: Memory format of the copies, that of ``images`` by default.

    Returns:
        (N·K, C, H, W) float32, bitwise equal to the :func:`rotated_copies` of
        ``(images - mean) / std``.

    Raises:
        UserError: If the images are not square and the set has an angle other than 0 and 180.
    """
    last = memory_format == torch.channels_last and images.dtype == torch.uint8
    if (
        last
        and images.ndim == 4
        and _opencv_applies(images)
        and mean.numel() in (1, images.shape[1])
    ):
        _check_square(images, angles)
        n, channels, *size = images.shape
        values = torch.arange(256.0)[:, None]
        table = (values - mean.view(-1)) / std.view(-1)  # (256, C or 1)
        table = table.float()[None].contiguous()
        copies = torch.empty((n * len(angles), channels, *size), memory_format=memory_format)
        turns = {label: angle // 90 for label, angle in enumerate(angles)}
        _rotate_with_opencv(images, turns, copies, table.numpy())
        return copies
    normal = images.to(torch.float32, copy=True).sub_(mean).div_(std)
    return rotated_copies(normal, angles, memory_format=memory_format)


def rotation_labels(
    num_images: int, num_angles: int, device: torch.device | str | None = None
) -> Tensor:
    """Return the labels of :func:`rotated_copies`.

    Args:
        num_images: Number of images N.
        num_angles: Number of angles K.
        device: Device of the labels.

    Returns:
        (N·K,) int64, ``0..K-1`` repeated N times.

    Example:
        >>> rotation_labels(2, 4)
        tensor([0, 1, 2, 3, 0, 1, 2, 3])
    """
    return torch.arange(num_angles, device=device).repeat(num_images)
