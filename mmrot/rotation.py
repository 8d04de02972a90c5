"""The rotation convention, stated once.

Label ``k`` of an angle set means that the copy was turned **counter-clockwise**
by the ``k``-th angle of the set; with the default set that is k·90°. Multiples
of 90° are made of flips and transposes only (section 2.2 of Gidaris et al.,
ICLR 2018), so no pixel value changes. The copies of a batch are image-major:
image 0 at every angle, then image 1, and so on.

Letters in shapes: N images, K rotations, C channels, H height, W width.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmrot.errors import UserError

QUARTER_TURNS = (0, 90, 180, 270)
EIGHTH_TURNS = (0, 45, 90, 135, 180, 225, 270, 315)


def check_angles(angles: Sequence[int]) -> tuple[int, ...]:
    """Check an angle set.

    Args:
        angles (Sequence[int]): At least two different multiples of 45 from 0
            to 315, in degrees counter-clockwise. The position of an angle is
            its label.

    Returns:
        tuple[int, ...]: The same angles.

    Raises:
        UserError: If the set is anything else; names the culprit.
    """
    allowed = 'expected two or more different angles out of ' + ', '.join(map(str, EIGHTH_TURNS))
    if isinstance(angles, str) or not isinstance(angles, Sequence) or len(angles) < 2:
        raise UserError(f'angles={angles!r}: {allowed}')
    for angle in angles:
        if isinstance(angle, bool) or angle not in EIGHTH_TURNS:
            raise UserError(f'angle {angle!r} in angles={tuple(angles)}: {allowed}')
    twice = sorted({angle for angle in angles if list(angles).count(angle) > 1})
    if twice:
        raise UserError(f'angle {twice[0]} stands twice in angles={tuple(angles)}: {allowed}')
    return tuple(int(angle) for angle in angles)


def needs_warp(angles: Sequence[int]) -> bool:
    """Tell whether a set has a diagonal member, so that every copy is warped."""
    return any(angle % 90 for angle in angles)


def quarter_turn(images: Tensor, k: int) -> Tensor:
    """Turn images by k·90° counter-clockwise, by flips and transposes.

    The three cases are the ones of section 2.2 of the paper.

    Args:
        images (Tensor): (..., H, W) of any dtype.
        k (int): Number of quarter turns, 0 to 3.

    Returns:
        Tensor: (..., H, W) for even k, (..., W, H) for odd k; equal to
        ``torch.rot90(images, k, (-2, -1))``.
    """
    if k == 0:
        return images
    if k == 1:
        return images.transpose(-2, -1).flip(-2)
    if k == 2:
        return images.flip((-2, -1))
    if k == 3:
        return images.flip(-2).transpose(-2, -1)
    raise UserError(f'k={k!r}: expected 0, 1, 2 or 3 quarter turns')


def central_square(images: Tensor, angle: int) -> Tensor:
    """Turn by 0° or 45° and keep the square that no rotation leaves empty.

    A square of side S turned by 45° covers an upright central square of side
    S/√2 and no larger one. Turning, cropping to that square and resizing back
    to S are one bicubic warp, for 0° as well as for 45°, so that both are
    interpolated alike. Bicubic, because at this very scale a bilinear warp by
    45° takes half of its pixels unblurred from the image: on photos the
    gradient energy of the two would differ by 15 %, with it by 1 %.

    Args:
        images (Tensor): (N, C, S, S), floating point or uint8.
        angle (int): 0 or 45, counter-clockwise.

    Returns:
        Tensor: (N, C, S, S) of the same dtype; uint8 is rounded and clamped.
    """
    cos = math.cos(math.radians(angle)) / math.sqrt(2)
    sin = math.sin(math.radians(angle)) / math.sqrt(2)
    # Output (x, y), y pointing down, to input: the inverse of the turn.
    theta = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0]], device=images.device)
    pixels = images if images.is_floating_point() else images.float()
    # Training calls this under autocast, which would round the grid to half precision.
    with torch.autocast(images.device.type, enabled=False):
        grid = F.affine_grid(
            theta.expand(len(images), 2, 3), list(images.shape), align_corners=False
        )
        # No sample lies outside; 'border' serves the outer taps of the cubic kernel.
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


def rotated_copies(images: Tensor, angles: Sequence[int] = QUARTER_TURNS) -> Tensor:
    """Make one copy of each image for each angle.

    Sets without diagonals only flip and transpose. As soon as a set has a
    diagonal member, every copy, the upright ones too, shows the central square
    of :func:`central_square` (Table 2 of the paper, the set of 8).

    Args:
        images (Tensor): (N, C, H, W), floating point or uint8.
        angles (Sequence[int]): The angle set, see :func:`check_angles`.

    Returns:
        Tensor: (N·K, C, H, W), image-major, of the dtype, device and memory
        format of ``images``. Its labels are :func:`rotation_labels`.

    Raises:
        UserError: If the images are not square and the set has any angle
            other than 0 and 180; names the shape.
    """
    if images.ndim != 4:
        raise UserError(f'images of shape {tuple(images.shape)}: expected (N, C, H, W)')
    n, c, height, width = images.shape
    if height != width and any(angle % 180 for angle in angles):
        raise UserError(
            f'images of shape {tuple(images.shape)} are not square: angles {tuple(angles)} '
            f'expect height equal to width, crop or resize to a square first'
        )
    if needs_warp(angles):
        sources = {start: central_square(images, start) for start in {a % 90 for a in angles}}
    else:
        sources = {0: images}
    channels_last = images.is_contiguous(memory_format=torch.channels_last)
    copies = torch.empty(
        (n * len(angles), c, height, width),
        dtype=images.dtype,
        device=images.device,
        memory_format=torch.channels_last if channels_last else torch.contiguous_format,
    )
    for label, angle in enumerate(angles):
        copies[label :: len(angles)] = quarter_turn(sources[angle % 90], angle // 90)
    return copies


def rotation_labels(
    num_images: int, num_angles: int, device: torch.device | str | None = None
) -> Tensor:
    """Give the labels of :func:`rotated_copies`.

    Args:
        num_images (int): N.
        num_angles (int): K.
        device (torch.device | str, optional): Where to put them.

    Returns:
        Tensor: (N·K,) int64, ``0..K-1`` repeated N times.
    """
    return torch.arange(num_angles, device=device).repeat(num_images)
