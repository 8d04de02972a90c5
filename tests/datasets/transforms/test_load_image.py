import cv2
import numpy as np
import pytest
from helpers import write_photo
from mmcv.transforms import LoadImageFromFile
from PIL import Image

from mmrot.datasets.transforms import LoadImage
from mmrot.errors import UserError


def test_image_equals_mmcvs(photo_folder):
    path = str(photo_folder / '00.jpg')
    expected = LoadImageFromFile().transform(dict(img_path=path))
    found = LoadImage().transform(dict(img_path=path))
    np.testing.assert_array_equal(found.pop('img'), expected.pop('img'))
    assert found == expected


@pytest.mark.parametrize('name', ['a.jpg', 'a.png', 'a.webp'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_exif_orientation_is_applied(name, orientation, tmp_path):
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[:16, :16] = 255  # top left
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / name
    Image.fromarray(pixels).save(path, exif=exif, lossless=True)
    corner = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0)}
    corner |= {5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}
    image = LoadImage().transform(dict(img_path=str(path)))['img']
    assert image.shape == ((32, 48, 3) if orientation < 5 else (48, 32, 3))
    quarters = {(y, x): image[y, x].mean() > 128 for y in (0, -1) for x in (0, -1)}
    assert [key for key, bright in quarters.items() if bright] == [corner[orientation]]


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('empty.jpg', b'', 'empty file'),
        ('text.png', b'not an image', 'no image header'),
        ('huge.pgm', b'P5 12000 12000 255\n', '12000×12000 pixels, more than 134,217,728'),
    ],
)
def test_unreadable_image_is_named(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=rf'image .*{name}: {message}'):
        LoadImage().transform(dict(img_path=str(tmp_path / name)))


def test_truncated_image_is_named(tmp_path):
    write_photo(tmp_path / 'a.jpg', np.random.default_rng(0), (400, 480))
    data = cv2.imencode('.png', cv2.imread(str(tmp_path / 'a.jpg')))[1].tobytes()
    (tmp_path / 'a.png').write_bytes(data[:40])
    with pytest.raises(UserError, match=r'image .*a\.png: no image header'):
        LoadImage().transform(dict(img_path=str(tmp_path / 'a.png')))
