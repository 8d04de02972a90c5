import cv2
import numpy as np
import pytest
from mmcv.transforms import CenterCrop
from mmpretrain.datasets.transforms import RandomResizedCrop, ResizeEdge
from PIL import Image

from mmrot.datasets.seeded_samples import seed_all
from mmrot.datasets.transforms import LoadImage, LoadResized, fuse_loading
from mmrot.datasets.transforms.load_resized import load_resized

CROP = dict(type='mmpretrain.RandomResizedCrop', scale=32, backend='pillow')
EDGE = dict(type='mmpretrain.ResizeEdge', scale=32, edge='short', backend='pillow')


def build(step):
    step = dict(step)
    kind = {'RandomResizedCrop': RandomResizedCrop, 'ResizeEdge': ResizeEdge}
    return kind[step.pop('type').rpartition('.')[2]](**step)


def write(path, height, width, orientation=1, seed=0):
    """Write a smooth image, which differs in all parts."""
    small = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(path, exif=exif)
    return str(path)


def both(path, step, seed):
    """Results of one step and of two."""
    seed_all(seed)
    one = LoadResized(build(step)).transform(dict(img_path=path))
    seed_all(seed)
    two = build(step).transform(LoadImage().transform(dict(img_path=path)))
    return one, two


@pytest.fixture
def reductions(monkeypatch):
    """Record by how much images are reduced."""
    found = []
    decode = LoadImage.decode

    def record(self, path, data, reduction=1):
        found.append(reduction)
        return decode(self, path, data, reduction)

    monkeypatch.setattr(LoadImage, 'decode', record)
    return found


@pytest.mark.parametrize('step', [CROP, EDGE])
@pytest.mark.parametrize('name', ['a.jpg', 'a.png'])
@pytest.mark.parametrize('shape', [(45, 63), (63, 45), (20, 30)])
def test_small_images_are_loaded_bit_for_bit_as_before(step, name, shape, tmp_path):
    path = write(tmp_path / name, *shape)
    for seed in range(3):
        one, two = both(path, step, seed)
        np.testing.assert_array_equal(one.pop('img'), two.pop('img'))
        assert one == two


def test_large_png_is_loaded_bit_for_bit_as_before(tmp_path):
    one, two = both(write(tmp_path / 'a.png', 450, 600), CROP, 0)
    np.testing.assert_array_equal(one['img'], two['img'])


def test_12_megapixels_are_decoded_at_reduced_size(tmp_path, reductions):
    path = write(tmp_path / 'a.jpg', 3000, 4000)
    for step, scale in ((CROP, 224), (EDGE, 256)):
        one, two = both(path, {**step, 'scale': scale}, 0)
        assert reductions.pop(0) > reductions.pop() == 1
        difference = np.abs(one.pop('img').astype(int) - two.pop('img'))
        assert difference.mean() < 0.5
        assert difference.max() <= 4
        assert one == two


@pytest.mark.parametrize(
    ('side', 'expected'), [(31, 1), (63, 1), (64, 2), (127, 2), (128, 4), (255, 4), (256, 8)]
)
def test_no_part_is_enlarged(side, expected, tmp_path, reductions):
    path = write(tmp_path / 'a.jpg', 300, 400)
    image, shape = load_resized(dict(img_path=path), lambda shape: ((7, 9, side, 260), (32, 32)))
    assert reductions == [expected]
    assert (image.shape, shape) == ((32, 32, 3), (300, 400))
    whole = LoadImage().transform(dict(img_path=path))['img']
    part = Image.fromarray(whole[7 : 7 + side, 9:269])
    full = np.array(part.resize((32, 32), Image.Resampling.BILINEAR)).astype(int)
    difference = np.abs(image - full)
    assert difference.mean() < 2
    assert difference.max() <= (0 if expected == 1 else 12)


@pytest.mark.parametrize('orientation', range(1, 9))
def test_rotated_photo(orientation, tmp_path, reductions):
    path = write(tmp_path / 'a.jpg', 320, 480, orientation)
    one, two = both(path, {**CROP, 'crop_ratio_range': (0.3, 1)}, 0)
    assert reductions[0] > 1
    difference = np.abs(one['img'].astype(int) - two['img'])
    assert difference.mean() < 3
    assert difference.max() <= 16
    assert one['ori_shape'] == ((320, 480) if orientation < 5 else (480, 320))


def test_orientation_that_opencv_does_not_apply(tmp_path, monkeypatch):
    path = write(tmp_path / 'a.jpg', 320, 480)
    monkeypatch.setattr(
        'mmrot.datasets.transforms.load_resized.jpeg_shape', lambda file: (480, 320)
    )
    one, two = both(path, EDGE, 0)
    np.testing.assert_array_equal(one['img'], two['img'])


def test_only_equivalent_steps_are_fused():
    load, crop, edge, other = LoadImage(), build(CROP), build(EDGE), CenterCrop(32)
    for step in (crop, edge):
        fused = fuse_loading([load, step, other])
        assert isinstance(fused[0], LoadResized)
        assert fused[1:] == [other]
    for steps in (
        [],
        [load, other, crop],
        [load, RandomResizedCrop(32, backend='cv2')],
        [load, ResizeEdge(32, edge='long', backend='pillow')],
        [LoadImage(color_type='grayscale'), crop],
    ):
        assert fuse_loading(steps) == steps


def test_cmyk_jpeg_is_reduced(tmp_path, reductions):
    Image.new('CMYK', (400, 300), (255, 0, 0, 0)).save(tmp_path / 'a.jpg')
    one, two = both(str(tmp_path / 'a.jpg'), EDGE, 0)
    assert reductions == [8, 1]
    assert cv2.norm(one['img'], two['img'], cv2.NORM_INF) <= 1
