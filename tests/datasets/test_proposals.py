import cv2
import mmengine
import numpy as np
import pytest

from mmrot.datasets import proposals
from mmrot.datasets.proposals import recall, selective_search, write_proposals

needs_contrib = pytest.mark.skipif(
    not hasattr(cv2, 'ximgproc'), reason='needs the contrib modules of OpenCV'
)


def test_recall_by_hand():
    boxes = np.array([[0, 0, 10, 10], [20, 20, 30, 30]], np.float32)
    objects = np.array([[0, 0, 10, 5], [0, 0, 10, 4], [21, 21, 31, 31]], np.float32)
    # overlaps 0.5, 0.4 and 81 / 119
    assert recall(boxes, objects).tolist() == [True, False, True]
    assert recall(boxes, objects, iou=0.7).tolist() == [False, False, False]


@needs_contrib
def test_finds_a_square_at_any_size():
    image = np.full((120, 160, 3), 30, np.uint8)
    image[30:80, 50:110] = (200, 40, 220)
    for scale in (1, 6):  # the larger one is searched at 500 pixels
        large = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
        boxes = selective_search(large)
        assert boxes.dtype == np.float32
        target = np.array([[50, 30, 110, 80]], np.float32) * scale
        assert recall(boxes, target, iou=0.9).all()
        assert (boxes >= 0).all()
        assert (boxes[:, 2:] <= np.array([160, 120]) * scale + 1).all()


@pytest.mark.skipif(hasattr(cv2, 'ximgproc'), reason='this OpenCV has its contrib modules')
def test_what_to_install_is_said(tmp_path):
    with pytest.raises(ImportError, match=r'no ximgproc: .*pip install --no-deps --target'):
        write_proposals([], tmp_path / 'a.pkl')


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Four photos, and a search that gives one box, as large as the photo is bright."""
    paths = [tmp_path / f'JPEGImages/{i}.png' for i in range(4)]
    paths[0].parent.mkdir()
    for index, path in enumerate(paths):
        cv2.imwrite(str(path), np.full((8, 8, 3), 10 * index, np.uint8))

    def search(image, most):
        return np.full((2, 4), image[0, 0, 0], np.float32)

    monkeypatch.setattr(proposals, 'selective_search', search)
    monkeypatch.setattr(proposals, 'check_opencv', lambda: None)
    return paths


def test_file_of_mmdet_and_going_on(photos, tmp_path):
    out = tmp_path / 'out/voc.pkl'
    broken = photos[2].read_bytes()
    photos[2].write_bytes(b'not an image')
    with pytest.raises(ValueError, match=r'JPEGImages/2\.png: expected an image'):
        write_proposals(photos, out, workers=2)
    assert not out.exists()
    parts = out.with_name('voc.pkl.parts')
    assert (parts / 'JPEGImages-0.npy').exists()
    np.save(parts / 'JPEGImages-0.npy', np.full((1, 4), 77, np.float32))  # is not done again
    photos[2].write_bytes(broken)
    write_proposals(photos, out, workers=2)
    content = mmengine.load(out)
    assert list(content) == [f'JPEGImages/{i}.png' for i in range(4)]
    assert content['JPEGImages/0.png']['bboxes'].tolist() == [[77] * 4]
    assert content['JPEGImages/3.png']['bboxes'].tolist() == [[30] * 4] * 2
    assert content['JPEGImages/3.png']['scores'].tolist() == [1.0, 0.5]
    assert [path.name for path in out.parent.iterdir()] == ['voc.pkl']
    with pytest.raises(ValueError, match=r'voc\.pkl: expected the name of a new file'):
        write_proposals(photos, out)


def test_lists_that_make_no_sense(photos, tmp_path):
    with pytest.raises(ValueError, match='expected images of different names, found 0'):
        write_proposals([], tmp_path / 'a.pkl')
    with pytest.raises(ValueError, match='expected images of different names, found 2'):
        write_proposals([photos[0]] * 2, tmp_path / 'a.pkl')
