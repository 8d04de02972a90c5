from collections.abc import Sequence

import torch.nn.functional as F
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay
from torch import Tensor

from .style import paper_style


def rotation_confusion(scores: Tensor) -> Tensor:
    """Count which rotation was predicted for which.

    Args:
        scores: (N, K, K): for the K copies of N images the scores of the K angles.

    Returns:
        (K, K) int64; row: actual rotation, column: predicted rotation.

    Example:
        >>> import torch
        >>> rotation_confusion(torch.tensor([[[0.9, 0.1], [0.8, 0.2]]]))
        tensor([[1, 0],
                [1, 0]])
    """
    return F.one_hot(scores.argmax(2), scores.shape[2]).sum(0)


@paper_style()
def draw_confusion(counts: Tensor, angles: Sequence[int]) -> Figure:
    """Plot the confusion matrix of rotations, in percent of each actual rotation.

    Args:
        counts: (K, K), see :func:`rotation_confusion`.
        angles: K angles in degrees counter-clockwise.
    """
    percent = 100 * counts / counts.sum(1, keepdim=True)  # (K, K)
    side = 1.2 + 0.4 * len(angles)
    figure = Figure(figsize=(side, side))
    axes = figure.add_subplot()
    names = [f'{angle}°' for angle in angles]
    display = ConfusionMatrixDisplay(percent.cpu().numpy(), display_labels=names).plot(
        ax=axes,
        cmap='Blues',
        colorbar=False,
        values_format='.1f',
        im_kw=dict(vmin=0, vmax=100),
    )
    for text, value in zip(display.text_.flat, percent.flatten(), strict=True):
        text.set_color('white' if value > 50 else 'black')
    axes.set(xlabel='predicted rotation', ylabel='actual rotation')
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    accuracy = 100 * float(counts.trace() / counts.sum())
    axes.set_title(f'{accuracy:.1f} % of {int(counts.sum()):,} copies right')
    return figure
