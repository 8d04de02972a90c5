from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.preprocessing import normalize

from mmrot.errors import UserError

from .style import TEXT_WIDTH, paper_style

METHODS = ('pca', 'tsne')
_MARKERS = 'osD^v'
_LEGEND = 40  # classes that a legend has room for


def embed(
    features: np.ndarray, method: str = 'pca', seed: int = 0
) -> tuple[np.ndarray, list[str]]:
    """Project L2-normalised features to the plane.

    Args:
        features: (N, D).
        method: ``'pca'``, or ``'tsne'`` on the first 50 principal components.
        seed: Random seed of t-SNE.

    Returns:
        Points (N, 2) and the labels of both axes.

    Raises:
        UserError: If there are fewer than 4 images or 2 features, or another method is
            asked for.
    """
    if method not in METHODS:
        raise UserError(f'method={method} is not one of {", ".join(METHODS)}.')
    if len(features) < 4:
        raise UserError(f'{len(features)} images are too few, expected at least 4.')
    if features.shape[1] < 2:
        raise UserError('A stage with one feature has no projection to two dimensions.')
    unit = normalize(features)
    if method == 'pca':
        pca = PCA(2, random_state=seed)
        points = pca.fit_transform(unit)
        shares = pca.explained_variance_ratio_
        return points, [f'PC {i} ({share:.0%} of variance)' for i, share in enumerate(shares, 1)]
    reduced = PCA(min(50, *unit.shape), random_state=seed).fit_transform(unit)
    tsne = TSNE(perplexity=min(30, (len(unit) - 1) / 3), init='pca', random_state=seed)
    return tsne.fit_transform(reduced), ['t-SNE 1', 't-SNE 2']


def spaced_points(points: np.ndarray, distance: float = 0.055) -> list[int]:
    """Select points that have room for a thumbnail each.

    Args:
        points: (N, 2).
        distance: Minimum distance along one of the axes, relative to their ranges.

    Returns:
        Their indices; of points that are close to each other, the first one.
    """
    extent = np.ptp(points, axis=0)
    scaled = points / np.where(extent, extent, 1)
    chosen: list[int] = []
    for index in range(len(points)):
        if (abs(scaled[chosen] - scaled[index]).max(1) >= distance).all():
            chosen.append(index)
    return chosen


@paper_style()
def draw_embedding(
    points: np.ndarray,
    axis_labels: Sequence[str],
    labels: np.ndarray | None = None,
    classes: Sequence[str] = (),
    thumbnails: Mapping[int, np.ndarray] | None = None,
) -> Figure:
    """Plot embedded features, coloured by class.

    Args:
        points: (N, 2).
        axis_labels: Labels of both axes.
        labels: Class indices (N,); None draws all points in one colour.
        classes: Names of the classes.
        thumbnails: Index of a point → image (H, W, 3) to draw there, see :func:`spaced_points`.
    """
    figure = Figure(figsize=(TEXT_WIDTH, 4.6))
    axes = figure.add_subplot()
    colors = ['tab:blue'] * len(points)
    if labels is None:
        axes.scatter(points[:, 0], points[:, 1], s=8, color=colors, linewidths=0)
    else:
        palette = list(map(to_hex, colormaps['tab20'](range(20))))
        present = np.unique(labels)
        for order, label in enumerate(present):
            color = palette[order % len(palette)]
            members = np.flatnonzero(labels == label)
            axes.scatter(
                points[members, 0],
                points[members, 1],
                s=12,
                alpha=0.85,
                color=color,
                marker=_MARKERS[order // len(palette) % len(_MARKERS)],
                linewidths=0,
                label=classes[label] if classes else str(label),
            )
            for member in members:
                colors[member] = color
        if len(present) <= _LEGEND:
            figure.legend(loc='outside right center', markerscale=1.5, handletextpad=0.1)
    axes.set(xlabel=axis_labels[0], ylabel=axis_labels[1], xticks=[], yticks=[])
    for index, image in (thumbnails or {}).items():
        axes.add_artist(
            AnnotationBbox(
                OffsetImage(image, zoom=16 / max(image.shape[:2])),
                (float(points[index, 0]), float(points[index, 1])),
                pad=0.1,
                bboxprops=dict(facecolor=colors[index], edgecolor='none'),
            )
        )
    return figure
