import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.offsetbox import AnnotationBbox
from sklearn.metrics import silhouette_score

from mmrot.errors import UserError
from mmrot.visualization import draw_embedding, embed, spaced_points


def clusters(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Three classes around orthogonal directions, with vectors of different lengths."""
    labels = np.repeat([0, 1, 2], 10)
    directions = np.eye(8)[labels] + 0.05 * rng.normal(size=(30, 8))
    return directions * rng.uniform(0.1, 10, (30, 1)), labels


@pytest.mark.parametrize('method', ['pca', 'tsne'])
def test_classes_of_equal_direction_stay_together(method):
    features, labels = clusters(np.random.default_rng(0))
    points, axis_labels = embed(features, method)
    assert points.shape == (30, 2)
    assert len(axis_labels) == 2
    assert silhouette_score(points, labels) > 0.7
    np.testing.assert_array_equal(points, embed(features, method)[0])


def test_axes_of_pca_state_their_share_of_variance():
    features = np.array([[1.0, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0]])
    assert embed(features)[1] == ['PC 1 (100% of variance)', 'PC 2 (0% of variance)']


def test_few_images_and_unknown_methods_are_errors():
    with pytest.raises(UserError, match='3 images are too few'):
        embed(np.eye(3))
    with pytest.raises(UserError, match='one feature'):
        embed(np.ones((5, 1)))
    with pytest.raises(UserError, match='method=umap is not one of pca, tsne'):
        embed(np.eye(5), 'umap')


def test_points_are_coloured_by_class():
    points = np.array([[0.0, 0], [1, 1], [2, 2], [3, 3]])
    labels = np.array([2, 0, 2, 0])
    figure = draw_embedding(points, ['x', 'y'], labels, ('cat', 'dog', 'owl'))
    (axes,) = figure.axes
    cat, owl = axes.collections
    np.testing.assert_array_equal(cat.get_offsets(), points[[1, 3]])
    np.testing.assert_array_equal(owl.get_offsets(), points[[0, 2]])
    assert not np.array_equal(cat.get_facecolor(), owl.get_facecolor())
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ['cat', 'owl']


def test_points_with_thumbnails_are_apart():
    points = np.array([[0.0, 0], [0.1, 10], [10, 50], [0, 100], [0.5, 20]])
    # distances relative to ranges of 10 and 100: point 1 is 0.1 from point 0, point 4 is 0.2
    assert spaced_points(points, 0.15) == [0, 2, 3, 4]
    assert spaced_points(np.zeros((3, 2))) == [0]


def test_thumbnails_have_the_colour_of_their_class():
    points = np.array([[0.0, 0], [0.5, 0.5], [1, 1]])
    images = {i: np.full((8, 8, 3), 10 * i, np.uint8) for i in (0, 2)}
    (axes,) = draw_embedding(points, ['x', 'y'], np.array([0, 0, 1]), (), images).axes
    drawn = [artist for artist in axes.artists if isinstance(artist, AnnotationBbox)]
    assert [tuple(artist.xy) for artist in drawn] == [(0, 0), (1, 1)]
    assert [artist.offsetbox.get_data()[0, 0, 0] for artist in drawn] == [0, 20]
    for artist, collection in zip(drawn, axes.collections, strict=True):
        frame = to_rgb(artist.patch.get_facecolor())
        np.testing.assert_allclose(frame, collection.get_facecolor()[0, :3])
