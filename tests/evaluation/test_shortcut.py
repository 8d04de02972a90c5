import cv2
import numpy as np
import pytest
from PIL import Image

from mmrot.evaluation.shortcut import (
    add_dct_noise,
    grey,
    low_pass,
    luminance_table,
    noise_images,
    recompress,
    shift,
)


@pytest.mark.parametrize('quality', [40, 75, 95])
def test_luminance_table_is_that_of_files(quality, tmp_path):
    cv2.imwrite(
        str(tmp_path / 'a.jpg'), np.zeros((8, 8, 3), np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    with Image.open(tmp_path / 'a.jpg') as image:
        assert luminance_table(quality).ravel().tolist() == list(image.quantization[0])


def test_noise_has_no_direction():
    for kind, ratio in (('white', 2.0), ('pink', 0.68)):
        noise = noise_images(kind, 200, 32)[..., 0].astype(float)
        assert noise.mean() == pytest.approx(128, abs=2)
        assert noise.std() == pytest.approx(49.5, abs=0.5)
        vertical, horizontal = ((np.diff(noise, axis=axis) ** 2).mean() for axis in (1, 2))
        assert vertical == pytest.approx(horizontal, rel=0.03)
        # twice the variance for independent pixels, less for similar neighbours
        assert vertical / noise.var() == pytest.approx(ratio, abs=0.1)


def test_dct_noise_has_the_width_of_the_table():
    images = np.full((100, 12, 16, 3), 128, np.uint8)
    table = np.zeros((8, 8))
    table[0, 2] = 60  # a horizontal frequency only
    noise = add_dct_noise(images, table)[:, :8, :8, 0] - 128.0
    coefficients = np.stack([cv2.dct(block) for block in noise])
    assert coefficients[:, 0, 2].std() == pytest.approx(60 / 12**0.5, rel=0.15)
    coefficients[:, 0, 2] = 0
    assert np.abs(coefficients).max() < 4  # rounding of pixels
    turned = add_dct_noise(images, table.T)[..., 0]
    assert (np.ptp(turned[:, :8, :8], axis=2) == 0).all()  # rows are constant


def test_recompress_shift_grey_and_low_pass():
    image = np.zeros((1, 16, 16, 3), np.uint8)
    assert np.array_equal(recompress(image, 75), image)
    image[0, 4, 5] = (10, 20, 200)
    moved = shift(image, 3)
    assert moved.shape == image.shape
    assert moved[0, 7, 8].tolist() == [10, 20, 200]
    assert grey(image)[0, 4, 5].tolist() == [73] * 3  # 0.114 B + 0.587 G + 0.299 R
    assert low_pass(image, 1)[0, 4, 5, 2] < 50
