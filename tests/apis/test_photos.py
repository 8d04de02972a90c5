import io
import struct
import warnings
import zlib

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from mmrot.apis.photos import list_photos, read_photo
from mmrot.errors import UserError


def ramp(height: int = 24, width: int = 32) -> np.ndarray:
    """A smooth picture (H, W, 3), RGB: brighter to the right in red, to the bottom in green."""
    y, x = np.mgrid[:height, :width]
    picture = np.stack([x * 7, y * 9, np.full_like(x, 100)], axis=2)
    return picture.astype(np.uint8)


def png(pixels: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'PNG', **options)
    return file.getvalue()


def saved(image: Image.Image, fmt: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, fmt, **options)
    return file.getvalue()


def picture() -> Image.Image:
    return Image.fromarray(ramp())


def alpha() -> Image.Image:
    image = picture()
    image.putalpha(Image.fromarray(ramp()[..., 0]))
    return image


def sixteen(pixels: np.ndarray) -> bytes:
    done, content = cv2.imencode('.png', pixels.astype(np.uint16) * 257)
    assert done
    return content.tobytes()


def png_header(height: int, width: int) -> bytes:
    content = png(ramp())
    header = b'IHDR' + struct.pack('>II', width, height) + content[24:29]
    return content[:12] + header + struct.pack('>I', zlib.crc32(header)) + content[33:]


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
GREY = np.repeat(ramp()[..., :1], 3, axis=2)
# name → content, what is read (RGB), tolerance
ODD_FILES = {
    'photo.jpg': (saved(picture(), 'JPEG', quality=98), ramp(), 6),
    'progressive.jpg': (saved(picture(), 'JPEG', quality=98, progressive=True), ramp(), 6),
    'cmyk.jpg': (saved(picture().convert('CMYK'), 'JPEG', quality=98), ramp(), 10),
    'cmyk.tif': (saved(picture().convert('CMYK'), 'TIFF'), ramp(), 2),
    'grey.jpg': (saved(picture().getchannel(0), 'JPEG', quality=98), GREY, 3),
    'grey_alpha.png': (saved(alpha().convert('LA'), 'PNG'), None, 0),
    '16_bit_grey.png': (sixteen(ramp()[..., 0]), GREY, 0),
    '16_bit_colour.png': (sixteen(ramp()[..., ::-1]), ramp(), 0),
    '16_bit_grey.tif': (
        saved(Image.fromarray(ramp()[..., 0].astype(np.uint16) * 257), 'TIFF'),
        GREY,
        0,
    ),
    'alpha.png': (saved(alpha(), 'PNG'), ramp(), 0),
    'alpha.webp': (saved(alpha(), 'WEBP', lossless=True, exact=True), ramp(), 0),
    'palette.png': (saved(picture().quantize(256), 'PNG'), ramp(), 24),
    'palette.gif': (saved(picture().quantize(256), 'GIF'), ramp(), 24),
    'black_and_white.png': (saved(picture().convert('1'), 'PNG'), None, 0),
    'lossless.webp': (saved(picture(), 'WEBP', lossless=True), ramp(), 0),
    'photo.bmp': (saved(picture(), 'BMP'), ramp(), 0),
    'photo.ppm': (saved(picture(), 'PPM'), ramp(), 0),
    'no ending': (saved(picture(), 'PNG'), ramp(), 0),
    'wrong ending.jpg': (saved(picture(), 'PNG'), ramp(), 0),
    'animated.gif': (
        saved(
            picture().quantize(256),
            'GIF',
            save_all=True,
            append_images=[Image.fromarray(255 - ramp()).quantize(256)],
        ),
        ramp(),
        24,
    ),
    'animated.webp': (
        saved(
            picture(),
            'WEBP',
            lossless=True,
            save_all=True,
            append_images=[Image.fromarray(255 - ramp())],
        ),
        ramp(),
        0,
    ),
    '1x1.png': (png(ramp(1, 1)), ramp(1, 1), 0),
    '100x1.png': (png(ramp(1, 100)), ramp(1, 100), 0),
}
BROKEN_FILES = {
    '10000x1.png': (png(ramp(1, 10_000)), '10000×1 pixels: one side is over 100 times the other'),
    '1x10000.png': (png(ramp(10_000, 1)), '1×10000 pixels'),
    'text.jpg': (b'not a photo', 'not an image that Pillow can read'),
    'empty.jpg': (b'', 'not an image that Pillow can read'),
    'cut.jpg': (saved(NOISE, 'JPEG')[:-500], 'cannot be read: .*truncated'),
    'cut.png': (saved(NOISE, 'PNG')[:-500], 'cannot be read: .*truncated'),
    'float.tif': (
        saved(Image.fromarray(ramp()[..., 0].astype(np.float32)), 'TIFF'),
        'floating-point pixels in a file',
    ),
    'bomb.png': (png_header(60_000, 60_000), 'cannot be read: Image size .* exceeds limit'),
}


@pytest.mark.parametrize('name', ODD_FILES)
def test_odd_file_is_read(name, tmp_path):
    content, expected, tolerance = ODD_FILES[name]
    (tmp_path / name).write_bytes(content)
    pixels = read_photo(tmp_path / name)
    assert pixels.dtype == np.uint8
    if expected is None:
        with Image.open(tmp_path / name) as image:
            expected = np.asarray(image.convert('RGB'))
    assert pixels.shape == expected.shape
    assert np.abs(pixels[..., ::-1].astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize('name', BROKEN_FILES)
def test_broken_file_raises(name, tmp_path):
    content, message = BROKEN_FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_photo(str(tmp_path / name))
    assert '\n' not in str(caught.value)
    assert 'BytesIO' not in str(caught.value)


def test_missing_file_raises():
    with pytest.raises(UserError, match='cannot be read: No such file or directory'):
        read_photo('/none.jpg')


# The operation that turns a stored picture upright, by EXIF orientation.
UPRIGHT = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].transpose(1, 0, 2),
    8: lambda x: np.rot90(x),
}


@pytest.mark.parametrize('orientation', UPRIGHT)
@pytest.mark.parametrize('fmt', ['JPEG', 'PNG', 'WEBP', 'TIFF'])
def test_exif_orientation_is_honoured(fmt, orientation, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = dict(lossless=True) if fmt == 'WEBP' else dict(quality=95) if fmt == 'JPEG' else {}
    path = tmp_path / f'photo.{fmt.lower()}'
    path.write_bytes(saved(picture(), fmt, exif=exif, **options))
    pixels = read_photo(path)
    if fmt == 'JPEG':  # as in training
        assert np.array_equal(pixels, cv2.imread(str(path)))
    else:
        assert np.array_equal(pixels[..., ::-1], UPRIGHT[orientation](ramp()))
    with Image.open(path) as image:
        assert np.array_equal(read_photo(image), pixels)


@pytest.mark.parametrize(
    'photo',
    [
        ramp()[..., ::-1],
        np.dstack([ramp()[..., ::-1], ramp()[..., 0]]),
        ramp()[..., ::-1].astype(np.uint16) * 257,
        ramp()[..., ::-1] / 255,
        picture(),
        alpha(),
        torch.from_numpy(ramp()).permute(2, 0, 1),
        torch.from_numpy(ramp()).permute(2, 0, 1) / 255,
    ],
    ids=['BGR', 'BGRA', '16 bits', 'float', 'PIL', 'PIL with alpha', 'tensor', 'float tensor'],
)
def test_arrays_images_and_tensors_are_read(photo):
    pixels = read_photo(photo)
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels[..., ::-1], ramp())


@pytest.mark.parametrize('grey', [ramp()[..., 0], torch.from_numpy(ramp()[None, ..., 0].copy())])
def test_grey_photos_are_read(grey):
    assert np.array_equal(read_photo(grey), GREY)


@pytest.mark.parametrize(
    ('photo', 'message'),
    [
        (ramp().astype(np.int64), 'int64 values: expected uint8, uint16, or floats from 0 to 1'),
        (ramp() / 200, 'not all between 0 and 1'),
        (np.full((4, 4, 3), np.nan), 'not all between 0 and 1'),
        (torch.zeros(6, 5, 4), r'shape \(5, 4, 6\): expected .* or \(C, H, W\) of a tensor'),
        (np.zeros((4, 5, 2), np.uint8), r'shape \(4, 5, 2\): expected \(H, W, C\)'),
        (np.zeros((0, 5, 3), np.uint8), r'shape \(0, 5, 3\)'),
        (np.zeros(3, np.uint8), r'shape \(3,'),
    ],
)
def test_unsuitable_values_raise(photo, message):
    with pytest.raises(UserError, match=message):
        read_photo(photo)


def test_other_types_raise():
    with pytest.raises(TypeError, match='a path, array, PIL image or tensor, got a int'):
        read_photo(3)


def test_large_photo_is_read_without_a_warning(monkeypatch, tmp_path):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 400)
    (tmp_path / 'large.png').write_bytes(png(ramp()))  # 768 pixels
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert read_photo(tmp_path / 'large.png').shape == (24, 32, 3)


def test_list_photos_walks_folders_and_splits_batches(tmp_path):
    for name in ('b.jpg', 'a/c.jpg', 'a/.hidden', '.cache/d.jpg'):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    names = [str(tmp_path / name) for name in ('a/c.jpg', 'b.jpg')]
    assert list(list_photos(tmp_path)) == names
    assert list(list_photos([str(tmp_path), 'x.jpg'])) == [*names, 'x.jpg']
    assert len(list(list_photos(np.zeros((3, 4, 5, 3))))) == 3
    assert [x.shape for x in list_photos([torch.zeros(2, 3, 4, 5), torch.zeros(3, 4, 5)])] == [
        (3, 4, 5)
    ] * 3
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match='empty has no files'):
        list(list_photos(tmp_path / 'empty'))
