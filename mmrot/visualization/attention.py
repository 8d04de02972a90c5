import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from mmrot.errors import UserError

from .style import TEXT_WIDTH, paper_style, show_image

_COLUMNS = 8  # of the figure, unless one image has more copies


@torch.no_grad()
def attention_maps(
    backbone: nn.Module, images: Tensor, powers: Mapping[str, float]
) -> dict[str, Tensor]:
    """Compute where the stages of a backbone respond to images (Figures 3 and 6 of the paper).

    The attention at a position is the sum of |activation|^p over the channels. A higher p
    emphasises the strongest channels; the paper uses p = 1, 2 and 4 for conv1, conv2 and conv3.

    Args:
        backbone: Backbone that returns a tuple of maps; it is set to eval mode.
        images: Normalised images (N, 3, H, W).
        powers: Name of each output → its power p.

    Returns:
        Name of each output → attention (N, H', W'), scaled to a maximum of 1 per image.

    Raises:
        UserError: If an output is not a map or not finite.
    """
    backbone.eval()
    attention = {}
    for (name, power), output in zip(powers.items(), backbone(images), strict=True):
        if not isinstance(output, Tensor) or output.ndim != 4:
            found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise UserError(f'Stage {name} returns {found}, expected a map (N, C, H, W).')
        # scaled first: a fourth power would overflow in half precision
        peak = output.abs().amax((1, 2, 3), keepdim=True)
        if not peak.isfinite().all():
            raise UserError(f'Stage {name} returns values that are not finite.')
        scaled = (output / peak.clamp_min(1e-12)).float().abs()  # (N, C, H', W')
        summed = scaled.pow(power).sum(1)  # (N, H', W')
        attention[name] = summed / summed.amax((1, 2), keepdim=True).clamp_min(1e-12)
    return attention


@paper_style()
def draw_attention(
    images: np.ndarray, attention: Mapping[str, Tensor], angles: Sequence[int]
) -> Figure:
    """Plot attention maps below the rotated copies of images, as in Figure 6 of the paper.

    Args:
        images: Rotated copies (N, K, H, W, 3), uint8.
        attention: Title of each row → maps (N·K, H', W'), image-major, from 0 to 1.
        angles: K angles in degrees counter-clockwise.

    Returns:
        K columns per image, and one row per stage.
    """
    n, k = images.shape[:2]
    beside = min(n, max(1, _COLUMNS // k))  # images next to each other
    blocks = math.ceil(n / beside)
    rows = 1 + len(attention)
    side = min(TEXT_WIDTH / (beside * k), 1.0)
    figure = Figure(figsize=(beside * k * side + 0.3, blocks * (rows * side + 0.1) + 0.1))
    # the last column and row of a block separate it from the next one
    grid = figure.add_gridspec(
        blocks * (rows + 1) - 1,
        beside * (k + 1) - 1,
        width_ratios=([1] * k + [0.08]) * (beside - 1) + [1] * k,
        height_ratios=([1] * rows + [0.08]) * (blocks - 1) + [1] * rows,
    )
    for index, copy in np.ndindex(n, k):
        block, place = divmod(index, beside)
        column = place * (k + 1) + copy
        for row, (name, maps) in enumerate({'input': None, **attention}.items()):
            axes = figure.add_subplot(grid[block * (rows + 1) + row, column])
            if maps is None:
                show_image(axes, images[index, copy])
            else:
                heat = maps[index * k + copy].cpu().numpy()  # (H', W')
                show_image(axes, heat, cmap='inferno', vmin=0, vmax=1)
            if column == 0:
                axes.set_ylabel(name)
            if row == block == 0:
                axes.set_title(f'{angles[copy]}°', pad=2)
    return figure
