import copy

import cv2
import numpy as np
import pytest
import torch
from helpers import shipped, write_photo
from matplotlib.colors import to_rgb
from mmengine.config import Config
from torch import nn

import mmrot
from mmrot.apis import (
    plot_attention,
    plot_confusion,
    plot_features,
    plot_filters,
    plot_neighbours,
    with_labelled_folder,
)
from mmrot.errors import UserError
from mmrot.registry import MODELS

PHOTOS = 'benchmarks/classification/resnet18_linear_photos.py'


class Colours(nn.Module):
    """A backbone that returns the normalised image at full size, and its average colour."""

    def __init__(self, out_indices=(0, 1)):
        super().__init__()
        self.out_indices = out_indices

    def init_weights(self):
        pass

    def forward(self, images):
        outputs = images, images.mean((2, 3))
        return tuple(outputs[index] for index in self.out_indices)


@pytest.fixture(autouse=True)
def _colours():
    MODELS.register_module(module=Colours, force=True)
    yield
    MODELS._module_dict.pop('Colours')


@pytest.fixture
def digits():
    cfg = shipped('rotnet/nin4_digits.py')
    cfg.train_dataloader.dataset.indices = 40
    cfg.test_dataloader.dataset.indices = 20
    return cfg


def with_colours(cfg: Config) -> Config:
    cfg = copy.deepcopy(cfg)
    cfg.model.backbone = dict(type='mmrot.Colours', out_indices=(0, 1))
    for holder in (cfg, cfg.model):
        if 'data_preprocessor' in holder:
            holder.data_preprocessor.update(mean=[0.0] * 3, std=[1.0] * 3)
    return cfg


def test_attention_rotates_with_the_image(digits):
    figure = plot_attention(with_colours(digits), 'random', [0], [2], images=['3'])
    columns = [
        [axes.images[0].get_array() for axes in figure.axes[i : i + 2]] for i in (0, 2, 4, 6)
    ]
    for turns, (picture, heat) in enumerate(columns):
        np.testing.assert_array_equal(picture, np.rot90(columns[0][0], turns))
        pixels = picture[..., 0].astype(float) ** 2
        np.testing.assert_allclose(heat, pixels / pixels.max(), rtol=1e-5)
    assert [axes.get_ylabel() for axes in figure.axes[:2]] == ['input', 'stage0, p = 2']


def test_powers_are_those_of_the_stages_as_given(digits):
    stages = ['block3', 'block1', 'block2']
    figure = plot_attention(digits, 'random', stages, [4, 1], count=1)
    labels = [axes.get_ylabel() for axes in figure.axes[1:4]]
    assert labels == ['block1, p = 1', 'block2, p = 1', 'block3, p = 4']


def test_attention_of_the_stages_of_figure_3(digits):
    figure = plot_attention(digits, 'random', count=1)
    labels = [axes.get_ylabel() for axes in figure.axes[:4]]
    assert labels == ['input', 'block1, p = 1', 'block2, p = 2', 'block3, p = 4']
    assert len(figure.axes) == 4 * 4


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(stages=['conv9']), 'NIN has no stage conv9'),
        (dict(powers=[0]), r'powers=\(0,\) are not'),
        (dict(powers=[1, 2, 3, 4]), '4 powers are too many for 3 stages'),
        (dict(powers=[float('nan')]), r'powers=\(nan,\) are not'),
        (dict(powers=[1, float('inf')]), r'powers=\(1, inf\) are not'),
        (dict(images=['cat.jpg']), '0 images of the data are named cat.jpg'),
        (dict(count=0), 'count=0 is not a positive integer'),
        (dict(split='val', image_folder='nowhere'), 'nowhere'),
    ],
)
def test_errors_of_attention_name_their_cause(digits, arguments, message):
    with pytest.raises((UserError, FileNotFoundError), match=message):
        plot_attention(digits, 'random', **arguments)


def test_attention_needs_maps(digits):
    with pytest.raises(UserError, match=r'Stage stage1 returns \(4, 3\), expected a map'):
        plot_attention(with_colours(digits), 'random', [1], count=1)


def test_photos_are_drawn_in_rgb(tmp_path):
    image = np.zeros((40, 40, 3), np.uint8)
    image[..., 2] = 200  # red in OpenCV's order
    assert cv2.imwrite(str(tmp_path / 'red.png'), image)
    cfg = with_colours(shipped('rotnet/photos.py'))
    cfg.test_dataloader.num_workers = 0
    figure = plot_attention(cfg, 'random', [0], [1], image_folder=str(tmp_path))
    assert figure.axes[0].images[0].get_array()[20, 20].tolist() == [200, 0, 0]


def test_filters_of_a_checkpoint(digits, tmp_path):
    torch.manual_seed(0)
    backbone = mmrot.get_model(digits).backbone
    state = backbone.state_dict()
    state['block1.layer1.conv.weight'].zero_()
    state['block1.layer1.conv.weight'][0] = 1.0
    torch.save({f'backbone.{key}': value for key, value in state.items()}, tmp_path / 'a.pth')
    sheet = plot_filters(digits, tmp_path / 'a.pth').axes[0].images[0].get_array()
    assert np.allclose(sheet[1:6, 1:6], 1.0)
    assert np.allclose(sheet[1:6, 7:12], 0.5)


def test_features_of_each_digit_are_one_point(digits):
    figure = plot_features(digits, 'random', 'block2', 'tsne', thumbnails=True)
    (axes,) = figure.axes
    assert sum(len(points.get_offsets()) for points in axes.collections) == 20
    assert axes.artists
    assert len(figure.legends[0].get_texts()) == len(axes.collections) > 5


def test_features_without_labels_need_thumbnails(tmp_path, digits):
    for index in range(4):
        write_photo(tmp_path / f'{index}.jpg', np.random.default_rng(index))
    with pytest.raises(UserError, match='no labels to colour them by'):
        plot_features(digits, 'random', image_folder=str(tmp_path))
    (axes,) = plot_features(digits, 'random', thumbnails=True, image_folder=str(tmp_path)).axes
    assert len(axes.collections[0].get_offsets()) == 4


@pytest.fixture
def shades(labelled_folder):
    """Photos of three classes, told apart by their brightness, and the average colour."""
    cfg = with_colours(shipped(PHOTOS))
    for name in ('train_dataloader', 'test_dataloader'):
        cfg[name].update(num_workers=0, persistent_workers=False)
    # all colours are grey: without a constant, they would have one direction
    cfg.model.data_preprocessor = dict(mean=[100.0, 0, 0], std=[1.0] * 3, to_rgb=True)
    return with_labelled_folder(cfg, str(labelled_folder))


def test_neighbours_of_each_shade_are_of_its_class(shades):
    figure = plot_neighbours(shades, 'random', 1, k=4, images=['dark/0.png', 'light/1.png'])
    assert len(figure.axes) == 2 * 5
    brightness = [axes.images[0].get_array().mean() for axes in figure.axes]
    assert np.allclose(brightness[:5], 20, atol=5)
    assert np.allclose(brightness[5:], 200, atol=5)
    frames = [axes.spines['left'].get_edgecolor() for axes in figure.axes]
    assert {frame[:3] for frame in frames[1:5] + frames[6:]} == {to_rgb('tab:green')}


def test_a_query_is_not_its_own_neighbour(shades):
    figure = plot_neighbours(shades, 'random', 1, k=5, count=6, bank='test')
    drawn = [axes.images[0].get_array() for axes in figure.axes]
    for start in range(0, 36, 6):
        query, *others = drawn[start : start + 6]
        assert len(others) == 5
        assert not any(np.array_equal(query, other) for other in others)


def test_neighbours_of_a_folder_are_in_the_folder(tmp_path, digits):
    for index in range(3):
        write_photo(tmp_path / 'photos' / f'{index}.jpg', np.random.default_rng(index))
    arguments = dict(k=2, count=1, image_folder=str(tmp_path / 'photos'), out=tmp_path / 'kept')
    assert len(plot_neighbours(digits, 'random', **arguments).axes) == 3
    assert (tmp_path / 'kept/test/last/block4.npy').exists()
    plot_neighbours(digits, 'random', **arguments, stage='block1')
    assert (tmp_path / 'kept/test/block1/block1.npy').exists()
    with pytest.raises(UserError, match='bank does not apply to a folder of photos'):
        plot_neighbours(digits, 'random', **arguments, bank='train')
    with pytest.raises(UserError, match='k=3 is not from 1 to 2'):
        plot_neighbours(digits, 'random', **{**arguments, 'k': 3})


def test_confusion_of_a_network_that_always_answers_90(digits, tmp_path):
    model = mmrot.get_model(digits)
    model.head.fc.weight.data.zero_()
    model.head.fc.bias.data = torch.tensor([0.0, 1.0, 0.0, 0.0])
    torch.save(model.state_dict(), tmp_path / 'a.pth')
    (axes,) = plot_confusion(digits, tmp_path / 'a.pth').axes
    np.testing.assert_array_equal(axes.images[0].get_array(), [[0, 100, 0, 0]] * 4)
    assert axes.get_title() == '25.0 % of 80 copies right'


def test_photos_are_found_by_path_and_by_its_end(tmp_path, digits, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('a/1.jpg', 'b/1.jpg'):
        write_photo(tmp_path / 'photos' / name, np.random.default_rng(0))
    arguments = dict(k=1, image_folder='photos')
    for name in ('a/1.jpg', './photos/a/1.jpg', f'{tmp_path}/photos/a/1.jpg'):
        assert plot_neighbours(digits, 'random', images=[name], **arguments).axes
    with pytest.raises(UserError, match=r'2 images of the data are named 1\.jpg'):
        plot_neighbours(digits, 'random', images=['1.jpg'], **arguments)


def test_confusion_needs_a_pretraining_config(tmp_path, shades):
    model = mmrot.get_model(shades)
    torch.save(model.state_dict(), tmp_path / 'a.pth')
    with pytest.raises(UserError, match='builds a ImageClassifier, expected a pretraining config'):
        plot_confusion(shades, tmp_path / 'a.pth')
