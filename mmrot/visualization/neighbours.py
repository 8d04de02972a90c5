from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from .style import RIGHT, TEXT_WIDTH, WRONG, paper_style, show_image


@paper_style()
def draw_neighbours(
    queries: np.ndarray,
    neighbours: Sequence[np.ndarray],
    similarities: np.ndarray,
    same_class: np.ndarray | None = None,
) -> Figure:
    """Plot the nearest neighbours of images, one row per query.

    Args:
        queries: Images (Q, H, W, 3).
        neighbours: Q arrays (k, H, W, 3), the most similar image first.
        similarities: Their cosine similarities (Q, k), written above them.
        same_class: (Q, k), whether a neighbour has the class of its query: its frame is green,
            or else red. None draws no frames.
    """
    k = similarities.shape[1]
    side = min(TEXT_WIDTH / (k + 1), 1.0)
    figure = Figure(figsize=((k + 1) * side + 0.2, len(queries) * (side + 0.15)))
    axes = figure.subplots(len(queries), k + 1, squeeze=False)
    figure.axes[0].set_title('query', pad=2)
    for q, (first, *others) in enumerate(axes):
        show_image(first, queries[q])
        for i, axis in enumerate(others):
            frame = None if same_class is None else RIGHT if same_class[q, i] else WRONG
            show_image(axis, neighbours[q][i], frame)
            axis.set_title(f'{similarities[q, i]:.2f}', pad=2)
    return figure
