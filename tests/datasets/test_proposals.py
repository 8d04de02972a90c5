import cv2
import mmengine
import numpy as np
import pytest

from mmrot.datasets import proposals
from mmrot.datasets.proposals import selective_search, write_proposals

needs_contrib = pytest.mark.skipif(
    not hasattr(cv2, 'ximgproc'), reason='needs the contrib modules of OpenCV'
)


@needs_contrib
def test_selective_search_finds_a_square_at_any_size():
    image = np.full((120, 160, 3), 30, np.uint8)
    image[30:80, 50:110] = (200, 40, 220)
    for scale in (1, 6):  # the larger one is searched at 500 pixels
        large = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
        boxes = selective_search(large)
        assert boxes.dtype == np.float32
        target = np.array([50, 30, 110, 80]) * scale
        low, high = np.maximum(boxes[:, :2], target[:2]), np.minimum(boxes[:, 2:], target[2:])
        both = (high - low).clip(0).prod(1)
        union = (boxes[:, 2:] - boxes[:, :2]).prod(1) + (target[2:] - target[:2]).prod() - both
        assert (both / union).max() > 0.9
        assert (boxes >= 0).all()
        assert (boxes[:, 2:] <= np.array([160, 120]) * scale + 1).all()


@pytest.mark.skipif(hasattr(cv2, 'ximgproc'), reason='this OpenCV has its contrib modules')
def test_write_proposals_without_contrib_modules_shows_installation(tmp_path):
    with pytest.raises(ImportError, match=r'no ximgproc, .*pip install --no-deps --target'):
        write_proposals([], tmp_path / 'a.pkl')


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Four photos, and a search that returns boxes of the brightness of the photo."""
    paths = [tmp_path / f'JPEGImages/{i}.png' for i in range(4)]
    paths[0].parent.mkdir()
    for index, path in enumerate(paths):
        cv2.imwrite(str(path), np.full((8, 8, 3), 10 * index, np.uint8))

    def search(image, max_boxes):
        return np.full((2, 4), image[0, 0, 0], np.float32)

    monkeypatch.setattr(proposals, 'selective_search', search)
    monkeypatch.setattr(proposals, 'check_opencv', lambda: None)
    return paths


def test_write_proposals_resumes_and_writes_mmdets_format(photos, tmp_path):
    out = tmp_path / 'out/voc.pkl'
    broken = photos[2].read_bytes()
    photos[2].write_bytes(b'not an image')
    with pytest.raises(ValueError, match=r'cannot read the image .*JPEGImages/2\.png'):
        write_proposals(photos, out, workers=2)
    assert not out.exists()
    parts = out.with_name('voc.pkl.parts')
    assert (parts / 'JPEGImages-0.npy').exists()
    np.save(parts / 'JPEGImages-0.npy', np.full((1, 4), 77, np.float32))  # must not be repeated
    photos[2].write_bytes(broken)
    write_proposals(photos, out, workers=2)
    content = mmengine.load(out)
    assert list(content) == [f'JPEGImages/{i}.png' for i in range(4)]
    assert content['JPEGImages/0.png']['bboxes'].tolist() == [[77] * 4]
    assert content['JPEGImages/3.png']['bboxes'].tolist() == [[30] * 4] * 2
    assert content['JPEGImages/3.png']['scores'].tolist() == [1.0, 0.5]
    assert [path.name for path in out.parent.iterdir()] == ['voc.pkl']
    with pytest.raises(ValueError, match=r'voc\.pkl already exists'):
        write_proposals(photos, out)


def test_write_proposals_rejects_empty_and_ambiguous_lists(photos, tmp_path):
    with pytest.raises(ValueError, match='got 0 images with 0 names'):
        write_proposals([], tmp_path / 'a.pkl')
    with pytest.raises(ValueError, match='got 2 images with 1 names'):
        write_proposals([photos[0]] * 2, tmp_path / 'a.pkl')
