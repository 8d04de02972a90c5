import numpy as np
from matplotlib.colors import to_rgb

from mmrot.visualization import draw_neighbours


def flat(*values: int) -> np.ndarray:
    return np.stack([np.full((4, 4, 3), value, np.uint8) for value in values])


def test_neighbours_follow_their_query():
    figure = draw_neighbours(
        flat(1, 2),
        [flat(10, 11), flat(20, 21)],
        np.array([[0.9, 0.8], [0.7, 0.6]]),
        np.array([[True, False], [False, True]]),
    )
    assert [axes.images[0].get_array()[0, 0, 0] for axes in figure.axes] == [1, 10, 11, 2, 20, 21]
    titles = ['query', '0.90', '0.80', '', '0.70', '0.60']
    assert [axes.get_title() for axes in figure.axes] == titles
    frames = [axes.spines['left'].get_edgecolor()[:3] for axes in figure.axes]
    green, red = to_rgb('tab:green'), to_rgb('tab:red')
    assert [frames[i] for i in (1, 2, 4, 5)] == [green, red, red, green]
    assert not figure.axes[0].spines['left'].get_visible()


def test_neighbours_without_labels_have_no_frames():
    figure = draw_neighbours(flat(1), [flat(10)], np.array([[0.9]]))
    assert not any(axes.spines['left'].get_visible() for axes in figure.axes)
