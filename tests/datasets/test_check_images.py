import struct
import zlib

import numpy as np
import pytest
from helpers import write_photo

from mmrot.cli.check import main
from mmrot.datasets.check_images import check_image, check_images, find_images
from mmrot.errors import UserError


def png(width: int, height: int) -> bytes:
    """A PNG with this size in its header, and no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        )

    header = struct.pack('>2I5B', width, height, 8, 2, 0, 0, 0)
    return (
        b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', b'') + chunk(b'IEND', b'')
    )


@pytest.fixture
def photos(tmp_path):
    """A good photo, and one of each kind of bad file."""
    write_photo(tmp_path / 'good.jpg', np.random.default_rng(0))
    content = (tmp_path / 'good.jpg').read_bytes()
    middle = len(content) // 2
    damaged = content[:middle] + b'\xff\xd9' + content[middle:]  # end of image
    for name, data in {
        'bomb.png': png(12000, 12000),
        'damaged.jpg': damaged,
        'empty.jpg': b'',
        'huge.png': png(200000, 200000),
        'nested/text.png': b'not an image',
        'truncated.jpg': content[:100],
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path


@pytest.mark.parametrize(
    ('name', 'problem'),
    [
        ('bomb.png', '12000×12000 pixels, more than 134,217,728'),
        ('damaged.jpg', 'damaged: Corrupt JPEG data: premature end of data segment'),
        ('empty.jpg', 'empty file'),
        ('huge.png', 'more than 134,217,728 pixels'),
        ('nested/text.png', 'no image header that Pillow can read: UnidentifiedImageError'),
    ],
)
def test_bad_image_is_described(name, problem, photos):
    assert problem in check_image(photos / name)


def test_check_lists_bad_images_in_order(photos, capsys):
    assert check_image(photos / 'good.jpg') == ''
    found = [path.name for path, _ in check_images(find_images(photos), workers=2)]
    assert found == [
        'bomb.png',
        'damaged.jpg',
        'empty.jpg',
        'huge.png',
        'text.png',
        'truncated.jpg',
    ]
    with pytest.raises(SystemExit, match='1'):
        main([str(photos), '--workers', '1'])
    out = capsys.readouterr().out
    assert f'{photos}/empty.jpg: empty file\n' in out
    assert out.endswith('6 of 7 images are bad.\n')


def test_check_of_good_images_ends_with_status_0(photo_folder, capsys):
    with pytest.raises(SystemExit, match='0'):
        main([str(photo_folder), '--workers', '1'])
    assert capsys.readouterr().out.endswith('0 of 24 images are bad.\n')


def test_folder_without_images_is_refused(tmp_path):
    with pytest.raises(UserError, match='has no images'):
        find_images(tmp_path)
