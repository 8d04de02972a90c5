from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes

TEXT_WIDTH = 6.5  # inches, of a page with one column
RIGHT, WRONG = 'tab:green', 'tab:red'


@contextmanager
def paper_style() -> Iterator[None]:
    """Use the Matplotlib settings of all figures in a context or a decorated function.

    Figures of mmrot are created in it; open it around your own to match them.

    Example:
        >>> from matplotlib.figure import Figure
        >>> with paper_style():
        ...     figure = Figure()
        >>> figure.dpi
        150.0
    """
    settings = {
        'axes.grid': False,
        'axes.linewidth': 0.6,
        'axes.spines.right': False,
        'axes.spines.top': False,
        'axes.titlesize': 8,
        'figure.constrained_layout.use': True,
        'figure.constrained_layout.h_pad': 0.02,
        'figure.constrained_layout.w_pad': 0.02,
        'figure.constrained_layout.hspace': 0.01,
        'figure.constrained_layout.wspace': 0.01,
        'figure.dpi': 150,
        'figure.facecolor': 'white',
        'font.size': 8,
        'legend.frameon': False,
        'lines.markersize': 4,
        'pdf.fonttype': 42,  # text as text, not as outlines
    }
    with matplotlib.rc_context(settings):
        yield


def show_image(axes: Axes, image: np.ndarray, frame: str | None = None, **options: Any) -> None:
    """Draw an image without ticks.

    Args:
        axes: Axes of the image.
        image: (H, W, 3) or (H, W).
        frame: Colour of the frame; no frame by default.
        **options: Arguments of ``Axes.imshow``.
    """
    axes.imshow(image, **options)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=frame is not None, color=frame, linewidth=1.5)
