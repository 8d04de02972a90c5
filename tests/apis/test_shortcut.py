import cv2
import numpy as np
import pytest
import torch
from helpers import shipped
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

import mmrot
from mmrot.apis import check_shortcuts
from mmrot.apis.shortcut import _resized_noise, judge, rotation_accuracies
from mmrot.cli import main
from mmrot.evaluation.shortcut import (
    all_orientations,
    luminance_table,
    noise_images,
    recompress,
)


class Answer(nn.Module):
    """Head that returns the logits its backbone computed."""

    def forward(self, feats):
        return feats[0]


class TableReader(nn.Module):
    """Decide which axis has the smaller quantisation step, from errors of the coefficients."""

    def __init__(self, quality):
        super().__init__()
        k = torch.arange(8.0)
        basis = torch.cos(torch.pi * (2 * k + 1) * k[:, None] / 16) / 2
        basis[0] /= 2**0.5
        self.basis = nn.Parameter(basis)
        self.register_buffer('table', torch.from_numpy(luminance_table(quality)).float())

    def forward(self, inputs):
        grey = inputs.mean(1) - 128  # (4N, H, W)
        blocks = grey.unfold(1, 8, 8).unfold(2, 8, 8)
        coefficients = self.basis @ blocks @ self.basis.T
        errors = []
        for table in (self.table, self.table.T):
            remainder = (coefficients / table).round() * table - coefficients
            errors.append((remainder / table).abs().mean((1, 2, 3, 4)))
        upright, rotated = errors
        return (torch.stack([-upright, -rotated, -upright, -rotated], 1),)


class BrightTop(nn.Module):
    """Answer where the brighter side of an image is: content, not format."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, inputs):
        grey = inputs.mean(1)
        half = grey.shape[-1] // 2
        top, left = grey[:, :half].mean((1, 2)), grey[:, :, :half].mean((1, 2))
        bottom, right = grey[:, half:].mean((1, 2)), grey[:, :, half:].mean((1, 2))
        return (torch.stack([top, left, bottom, right], 1) * self.weight,)


def network(backbone):
    cfg = shipped('rotnet/nin4_digits.py')
    cfg.data_preprocessor = dict(mean=[0, 0, 0], std=[1, 1, 1], to_rgb=True)
    model = mmrot.get_model(cfg)
    model.backbone, model.head = backbone, Answer()
    return model


def test_network_that_reads_the_table_is_caught():
    noise = noise_images('pink', 100, 32)
    model = network(TableReader(75))
    accuracy, axis = rotation_accuracies(model, recompress(noise, 75))
    assert axis > 95
    assert accuracy == pytest.approx(50, abs=3)  # 0° and 180° look alike
    # all four copies of an image are right, or all are wrong: the standard error is 5
    assert rotation_accuracies(model, noise)[1] == pytest.approx(50, abs=15)
    assert rotation_accuracies(model, recompress(noise, 75), quality=75)[1] < 60


def test_content_of_photos_in_all_orientations_does_not_help():
    photos = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    rotated = all_orientations(photos)
    assert rotated.shape == (20, 32, 32, 3)
    assert np.array_equal(rotated[5:10], np.rot90(photos, 1, (1, 2)))
    assert rotation_accuracies(network(BrightTop()), rotated) == (25, 50)
    assert rotation_accuracies(network(TableReader(75)), rotated)[1] == 50
    assert rotation_accuracies(network(TableReader(75)), recompress(rotated, 75))[1] == 100


def test_network_that_reads_content_is_not_caught():
    photo = np.zeros((1, 32, 32, 3), np.uint8)
    photo[:, :10] = 200
    model = network(BrightTop())
    assert rotation_accuracies(model, photo) == (100, 100)
    assert rotation_accuracies(model, photo, bgr=False, quality=75) == (100, 100)
    noise = recompress(noise_images('pink', 300, 32), 75)
    accuracy, axis = rotation_accuracies(model, noise)
    # the four copies of an image have four different answers, one of them in each place
    assert accuracy == pytest.approx(25, abs=4)
    assert axis == pytest.approx(50, abs=4)


@pytest.mark.parametrize(
    ('compressed', 'plain', 'caught'),
    [
        ((27.0, 53.0), (25.0, 50.0), False),
        ((27.1, 53.0), (25.0, 50.0), True),
        ((27.1, 53.0), (24.0, 50.0), True),  # the limit is above chance
        ((25.0, 53.1), (25.0, 50.0), True),
        ((25.0, 47.0), (25.0, 50.0), False),
        ((25.0, 46.9), (25.0, 50.0), True),
        ((28.0, 54.0), (27.0, 52.0), False),  # nearly as predictable without compression
        ((29.1, 54.0), (27.0, 52.0), True),
        ((25.0, 46.9), (25.0, 52.0), True),  # the other axis
        ((25.0, 44.0), (25.0, 47.0), False),
    ],
)
def test_judge_compares_with_chance_and_with_noise_that_is_not_compressed(
    compressed, plain, caught
):
    def row(images, accuracies):
        return dict(images=images, accuracy=accuracies[0], axis_accuracy=accuracies[1])

    result = judge(
        [
            row('photos', (90, 95)),
            row('white noise, quality 75', (25.0, 50.0)),
            row('white noise, not compressed', (25.0, 50.0)),
            row('pre-rotated photos, quality 75', (26.0, 52.0)),
            row('pink noise, quality 75, resized', compressed),
            row('pink noise, not compressed, resized', plain),
        ]
    )
    assert result['shortcut'] is caught
    if caught:
        assert result['verdict'].endswith(
            f': on pink noise, quality 75, resized, {compressed[0]:.1f} % 4-way, '
            f'{compressed[1]:.1f} % axis; without compression, {plain[0]:.1f} % 4-way, '
            f'{plain[1]:.1f} % axis.'
        )


def test_resized_noise_is_compressed_before_the_pipeline():
    cfg = shipped('rotnet/photos.py')
    steps = cfg.test_dataloader.dataset.pipeline
    load, resize, pack = steps[0], {**steps[1], 'scale': 24}, steps[-1]
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        as_it_is, resized = Compose([load, pack]), Compose([load, resize, pack])
    found = dict(_resized_noise(as_it_is, True, 2, 48))
    assert len(found) == 8
    noise = np.concatenate([noise_images('pink', 1, 48, seed) for seed in range(2)])
    assert np.array_equal(found['pink noise, quality 90, resized'], recompress(noise, 90))
    assert np.array_equal(found['pink noise, not compressed, resized'], noise)
    for images in dict(_resized_noise(resized, True, 2, 48)).values():
        assert images.shape == (2, 24, 24, 3)


def test_photos_reach_a_network_for_arrays_in_rgb(tmp_path, monkeypatch):
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 2] = 200  # in OpenCV's order
    cv2.imwrite(str(tmp_path / 'red.png'), red)
    cfg = shipped('rotnet/nin4_cifar10.py')
    cfg.model.backbone.width = cfg.model.head.in_channels = 6
    torch.save(dict(state_dict=mmrot.get_model(cfg).state_dict()), tmp_path / 'model.pth')
    seen = []

    def record(model, images, bgr, *_):
        inputs = torch.from_numpy(images if bgr else images[..., ::-1].copy()).permute(0, 3, 1, 2)
        seen.append(model.data_preprocessor(dict(inputs=inputs))['inputs'])
        return 25.0, 50.0

    monkeypatch.setattr('mmrot.apis.shortcut.rotation_accuracies', record)
    check_shortcuts(cfg, str(tmp_path / 'model.pth'), str(tmp_path), num_images=1)
    mean, std = (torch.tensor(cfg.data_preprocessor[key]) for key in ('mean', 'std'))
    expected = (torch.tensor([200.0, 0.0, 0.0]) - mean) / std
    torch.testing.assert_close(seen[0][0, :, 5, 5], expected)


def test_command_writes_results(tmp_path, capsys):
    name = 'rotnet/nin4_digits.py'
    rng = np.random.default_rng(0)
    for index in range(3):
        image = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f'{index}.jpg'), image)
    checkpoint = str(tmp_path / 'model.pth')
    torch.save(dict(state_dict=mmrot.get_model(mmrot.config_path(name)).state_dict()), checkpoint)
    options = ['--image-folder', str(tmp_path), '--num-images', '2']
    main(['shortcut', name, checkpoint, *options])
    assert 'JPEG compression' in capsys.readouterr().out
    found = Config.fromfile(f'{checkpoint}.shortcut.json')
    assert len(found.rows) == 28 + 8
    assert 'white noise, quality 95, resized' in [row.images for row in found.rows]
    assert found.rows[0].images == 'photos'
    for row in found.rows:  # one photo in four orientations
        assert row['count'] == (4 if row.images.startswith('pre-rotated photos') else 2)


def test_check_shortcuts_refuses_other_angles(tmp_path):
    cfg = shipped('rotnet/nin4_digits.py')
    cfg.model.angles = (0, 180)
    checkpoint = tmp_path / 'model.pth'
    torch.save(dict(state_dict=mmrot.get_model(cfg).state_dict()), checkpoint)
    with pytest.raises(ValueError, match='expected a pretraining config with angles 0, 90'):
        check_shortcuts(cfg, checkpoint)


def test_judge_compares_pre_rotated_photos_with_chance():
    rows = [dict(images='pre-rotated photos, quality 90', accuracy=24.0, axis_accuracy=46.0)]
    result = judge(rows)
    assert result['shortcut']
    assert 'without compression, 25.0 % 4-way, 50.0 % axis.' in result['verdict']
