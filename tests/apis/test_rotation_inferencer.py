import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers import shipped, write_photo
from mmengine.dataset import Compose, default_collate
from mmengine.registry import MODELS, TRANSFORMS
from mmpretrain import FeatureExtractor, inference_model
from mmpretrain import get_model as mmpretrain_get_model
from PIL import Image
from torch import Tensor, nn

import mmrot
from mmrot.apis import with_image_folder
from mmrot.errors import UserError
from mmrot.rotation import EIGHTH_TURNS, QUARTER_TURNS


class Sides(nn.Module):
    """A perfect network for photos that are brighter on one side: its brightness, as logits."""

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        half = images.shape[-1] // 2
        sides = (
            images[..., :half, :],  # upright
            images[..., :half],
            images[..., half:, :],
            images[..., half:],
        )
        return (torch.stack([side.mean((1, 2, 3)) for side in sides], 1),)  # (N, 4)


@pytest.fixture(scope='module')
def sides() -> mmrot.RotationInferencer:
    MODELS.register_module('RotationSides', module=Sides, force=True)
    cfg = shipped('rotnet/nin4_digits.py')
    cfg.model.backbone = dict(type='RotationSides')
    cfg.model.head.in_channels = 4
    model = mmrot.get_model(cfg)
    nn.init.eye_(model.head.fc.weight)
    nn.init.zeros_(model.head.fc.bias)
    return mmrot.RotationInferencer(model, show_progress=False)


def sensitive(network: nn.Module) -> nn.Module:
    """Set the statistics of batch norms so that the answers depend on the image."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train().extract_feat(torch.randn(16, 3, 32, 32))
    nn.init.normal_(network.head.fc.weight)
    return network.eval()


def random_inferencer(folder: Path | None = None, **model) -> mmrot.RotationInferencer:
    cfg = shipped('rotnet/nin4_cifar10.py')
    cfg.model.update(model)
    cfg.merge_from_dict(dict(model=dict(backbone=dict(width=12), head=dict(in_channels=12))))
    if folder is not None:
        cfg = with_image_folder(cfg, str(folder))
    torch.manual_seed(0)
    network = sensitive(mmrot.get_model(cfg))
    return mmrot.RotationInferencer(network, show_progress=False)


def probabilities(result: dict) -> list[float]:
    return list(result['probabilities'].values())


def test_rotated_photo_shifts_the_answer(sides, tmp_path):
    write_photo(tmp_path / 'photo.jpg', np.random.default_rng(0), (60, 91))
    photo = cv2.imread(str(tmp_path / 'photo.jpg'))
    results = sides([np.rot90(photo, k) for k in range(4)], batch_size=3)
    assert [result['angle'] for result in results] == [0, 90, 180, 270]
    assert [result['input'] for result in results] == [0, 1, 2, 3]
    for result in results:
        assert result['confidence'] == max(probabilities(result))
        assert sum(probabilities(result)) == pytest.approx(1)


@pytest.mark.parametrize('angles', [QUARTER_TURNS, (0, 180), (90, 270), EIGHTH_TURNS])
def test_averaged_answers_agree_up_to_the_shift(angles):
    inferencer = random_inferencer(angles=angles)
    photo = np.random.default_rng(0).integers(0, 256, (57, 40, 3), np.uint8)
    shifts = [k for k in range(4) if {(a + 90 * k) % 360 for a in angles} == set(angles)]
    results = inferencer([np.rot90(photo, k) for k in shifts], batch_size=4, average=True)
    for k, result in zip(shifts, results, strict=True):
        for angle in angles:
            expected = results[0]['probabilities'][angle]
            got = result['probabilities'][(angle + 90 * k) % 360]
            assert got == pytest.approx(expected, abs=1e-6)
    plain = inferencer(photo)[0]
    assert probabilities(plain) != pytest.approx(probabilities(results[0]), abs=1e-3)


def test_average_without_symmetry_raises():
    with pytest.raises(UserError, match=r'no rotation maps the angles \(0, 90\) of the model'):
        random_inferencer(angles=(0, 90))(np.zeros((4, 4, 3), np.uint8), average=True)


@pytest.mark.parametrize('angles', [QUARTER_TURNS, (0, 180), EIGHTH_TURNS])
def test_answer_equals_the_model_on_the_same_pixels(angles, tmp_path):
    write_photo(tmp_path / 'photo.jpg', np.random.default_rng(0), (57, 90))
    inferencer = random_inferencer(tmp_path, angles=angles)
    pipeline = inferencer.cfg.test_dataloader.dataset.pipeline
    item = Compose([TRANSFORMS.build(step) for step in pipeline])(
        dict(img_path=str(tmp_path / 'photo.jpg'))
    )
    (sample,) = inferencer.model.test_step(default_collate([item]))
    (result,) = inferencer(tmp_path / 'photo.jpg')
    assert probabilities(result) == pytest.approx(sample.rotation_score[0].tolist(), abs=1e-6)


def test_config_of_arrays_gets_the_channels_that_it_was_trained_on(tmp_path):
    """CIFAR-10 is read as RGB, photos in its place as BGR; the model sees RGB both times."""
    write_photo(tmp_path / 'photo.png', np.random.default_rng(0))
    photo = np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)
    arrays, files = random_inferencer()(photo), random_inferencer(tmp_path)(photo)
    assert probabilities(arrays[0]) == pytest.approx(probabilities(files[0]), abs=1e-6)
    assert probabilities(arrays[0]) != pytest.approx(
        probabilities(random_inferencer()(photo[..., ::-1])[0]), abs=1e-4
    )


def test_mixed_photos_in_one_batch_get_the_answers_of_each(tmp_path):
    rng = np.random.default_rng(0)
    inferencer = random_inferencer()
    (tmp_path / 'notes.txt').write_text('not a photo')
    write_photo(tmp_path / 'photo.png', rng, (30, 90))
    photos = [
        str(tmp_path / 'photo.png'),
        tmp_path / 'notes.txt',
        rng.integers(0, 256, (200, 33, 3), np.uint8),
        Image.fromarray(rng.integers(0, 256, (5, 7, 3), np.uint8)),
        torch.from_numpy(rng.integers(0, 256, (3, 64, 64), np.uint8)),
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((1, 10_000, 3), np.uint8),
    ]
    batch = inferencer(photos, batch_size=8)
    for index, (photo, result) in enumerate(zip(photos, batch, strict=True)):
        (alone,) = inferencer(photo)
        assert result['input'] == (str(photo) if index < 2 else index)
        if index in (1, 6):
            assert result['angle'] is result['probabilities'] is result['confidence'] is None
            assert 'Pillow' in result['error'] or '10000×1' in result['error']
        else:
            assert result['error'] is None
            assert probabilities(result) == pytest.approx(probabilities(alone), abs=1e-6)


def test_images_that_the_pipeline_does_not_crop_share_a_batch():
    inferencer = random_inferencer()
    inferencer.pipeline.transforms = inferencer.pipeline.transforms[-1:]  # packs only
    photos = [np.full((40, width, 3), 9, np.uint8) for width in (32, 48, 32)]
    batch = inferencer(photos, batch_size=3)
    for photo, result in zip(photos, batch, strict=True):
        assert probabilities(result) == pytest.approx(probabilities(inferencer(photo)[0]))


def test_inferencer_without_a_pretrained_model_raises():
    with pytest.raises(UserError, match='expected a checkpoint'):
        mmrot.RotationInferencer('rotnet_nin4_digits')
    model = mmrot.get_model('rotnet_nin4_digits')
    with pytest.raises(UserError, match='the model already has weights'):
        mmrot.RotationInferencer(model, 'a.pth')


def test_config_of_a_probe_raises(tmp_path):
    config = 'benchmarks/classification/nin4_nonlinear_cifar10.py'
    torch.save(mmrot.get_model(config).state_dict(), tmp_path / 'probe.pth')
    with pytest.raises(UserError, match='builds a ImageClassifier, expected a pretraining'):
        mmrot.RotationInferencer(config, tmp_path / 'probe.pth')


def test_mmpretrain_takes_config_and_checkpoint(tmp_path):
    source = sensitive(mmrot.get_model('rotnet_nin4_digits'))
    torch.save(dict(state_dict=source.state_dict()), tmp_path / 'a.pth')
    config = mmrot.config_path('rotnet/nin4_digits.py')
    model = mmpretrain_get_model(config, pretrained=str(tmp_path / 'a.pth'))
    photo = np.random.default_rng(0).integers(0, 256, (30, 30, 3), np.uint8)
    (result,) = mmrot.RotationInferencer(model, show_progress=False)(photo)
    (expected,) = mmrot.RotationInferencer(source, show_progress=False)(photo)
    assert result == expected
    # one result for each rotated copy, the photo as it is first
    features = FeatureExtractor(model)(photo)
    assert len(features) == 4
    for k, (feature,) in enumerate(features):
        (alone,) = FeatureExtractor(model)(np.rot90(photo, k))[0]
        torch.testing.assert_close(feature, alone, atol=1e-3, rtol=1e-3)
    with pytest.raises(UserError, match=r'Call mmrot\.RotationInferencer'):
        inference_model(model, photo)


def test_import_of_mmrot_is_light():
    code = 'import mmrot, sys; sys.exit("mmpretrain" in sys.modules or "mmcv" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code]).returncode == 0
    assert mmrot.RotationInferencer.__module__ == 'mmrot.apis.rotation_inferencer'
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mmrot.nothing  # noqa: B018
