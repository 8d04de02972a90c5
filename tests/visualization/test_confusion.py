import numpy as np
import torch

from mmrot.visualization import draw_confusion, rotation_confusion


def test_rows_are_actual_and_columns_predicted_rotations():
    # image 0: 0° and 180° right, 90° taken for 270°, 270° for 90°; image 1: all taken for 90°
    guesses = torch.tensor([[0, 3, 2, 1], [1, 1, 1, 1]])
    counts = rotation_confusion(torch.nn.functional.one_hot(guesses, 4).float())
    assert counts.tolist() == [[1, 1, 0, 0], [0, 1, 0, 1], [0, 1, 1, 0], [0, 2, 0, 0]]


def test_figure_shows_percent_of_each_actual_rotation():
    (axes,) = draw_confusion(torch.tensor([[3, 1], [0, 8]]), (0, 180)).axes
    np.testing.assert_allclose(axes.images[0].get_array(), [[75, 25], [0, 100]])
    assert [text.get_text() for text in axes.texts] == ['75.0', '25.0', '0.0', '100.0']
    colours = [text.get_color() for text in axes.texts]
    assert colours == ['white', 'black', 'black', 'white']
    assert [label.get_text() for label in axes.get_yticklabels()] == ['0°', '180°']
    assert axes.get_title() == '91.7 % of 12 copies right'
    assert (axes.get_ylabel(), axes.get_xlabel()) == ('actual rotation', 'predicted rotation')
