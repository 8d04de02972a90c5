import math

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.utils import make_grid

from mmrot.errors import UserError

from .style import paper_style, show_image


@torch.no_grad()
def first_layer_filters(backbone: nn.Module) -> Tensor:
    """Return the filters of the first convolution (Figure 4 of the paper).

    If batch norm follows, each filter is multiplied by the scale γ / √(σ² + ε) that the network
    applies to its output, so that the contrast of a filter shows how much it counts.

    Args:
        backbone: Any backbone whose first convolution sees the image.

    Returns:
        (F, C, h, w), where C is 1 or 3.

    Raises:
        UserError: If there is no convolution, or its input has neither 1 nor 3 channels.
    """
    layers = [m for m in backbone.modules() if not list(m.children())]
    convs = [index for index, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
    if not convs:
        raise UserError(f'{type(backbone).__name__} has no convolution.')
    first = layers[convs[0]]
    if first.in_channels not in (1, 3) or first.groups != 1:
        raise UserError(
            f'The first convolution of {type(backbone).__name__} has {first.in_channels} input '
            f'channels in {first.groups} groups, expected an image.'
        )
    filters = first.weight.detach().float()  # (F, C, h, w)
    norm = next((m for m in layers[convs[0] + 1 :] if not isinstance(m, nn.Identity)), None)
    if (
        isinstance(norm, _BatchNorm)
        and norm.num_features == len(filters)
        and norm.running_var is not None  # else the scale depends on the batch
    ):
        scale = (norm.running_var + norm.eps).rsqrt()  # (F,)
        if norm.weight is not None:
            scale = scale * norm.weight
        filters = filters * scale[:, None, None, None]
    return filters


@paper_style()
def draw_filters(filters: Tensor, columns: int = 16) -> Figure:
    """Plot filters on one scale, from which zero is grey.

    Args:
        filters: (F, C, h, w), where C is 1, or 3 for RGB.
        columns: Number of filters per row.

    Returns:
        Figure with the filters in the order of the network.

    Raises:
        UserError: If a filter is not finite.
    """
    if not filters.isfinite().all():
        raise UserError('The filters are not finite.')
    # few filters are much larger than the others
    limit = max(float(np.quantile(filters.abs().cpu().numpy(), 0.995)), 1e-12)
    tiles = (filters.cpu() / (2 * limit) + 0.5).clamp(0, 1)
    sheet = make_grid(tiles, columns, padding=1, pad_value=1.0).permute(1, 2, 0).numpy()
    rows = math.ceil(len(filters) / columns)
    figure = Figure(figsize=(0.4 * min(columns, len(filters)), 0.4 * rows))
    show_image(figure.add_subplot(), sheet, interpolation='nearest')
    return figure
