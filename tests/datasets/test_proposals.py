import os
import pickle

import cv2
import numpy as np
import pytest

from mmrot.datasets import proposals
from mmrot.datasets.proposals import (
    read_proposals,
    save_proposals,
    selective_search,
    write_proposals,
)
from mmrot.errors import UserError

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
        write_proposals([], tmp_path / 'a.npz')


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


def test_write_proposals_resumes(photos, tmp_path):
    out = tmp_path / 'out/voc.npz'
    broken = photos[2].read_bytes()
    photos[2].write_bytes(b'not an image')
    with pytest.raises(ValueError, match=r'cannot read the image .*JPEGImages/2\.png'):
        write_proposals(photos, out, workers=2)
    assert not out.exists()
    parts = out.with_name('voc.npz.parts')
    assert (parts / 'JPEGImages-0.npy').exists()
    np.save(parts / 'JPEGImages-0.npy', np.full((1, 4), 77, np.float32))  # must not be repeated
    photos[2].write_bytes(broken)
    write_proposals(photos, out, workers=2)
    content = read_proposals(out)
    assert list(content) == [f'JPEGImages/{i}.png' for i in range(4)]
    assert content['JPEGImages/0.png']['bboxes'].tolist() == [[77] * 4]
    assert content['JPEGImages/3.png']['bboxes'].tolist() == [[30] * 4] * 2
    assert content['JPEGImages/3.png']['scores'].tolist() == [1.0, 0.5]
    assert [path.name for path in out.parent.iterdir()] == ['voc.npz']
    with pytest.raises(ValueError, match=r'voc\.npz already exists'):
        write_proposals(photos, out)


def test_write_proposals_rejects_empty_and_ambiguous_lists(photos, tmp_path):
    with pytest.raises(ValueError, match='got 0 images with 0 names'):
        write_proposals([], tmp_path / 'a.npz')
    with pytest.raises(ValueError, match='got 2 images with 1 names'):
        write_proposals([photos[0]] * 2, tmp_path / 'a.npz')


def test_saved_proposals_are_read_back(tmp_path):
    content = {
        'a/1.jpg': dict(bboxes=np.array([[1, 2, 3, 4.5]], np.float32), scores=np.ones(1)),
        'a/2.jpg': dict(bboxes=np.zeros((0, 4), np.float32), scores=np.zeros(0)),
        'a/ü.jpg': dict(bboxes=np.full((2, 4), 7, np.float32), scores=np.array([0.5, 0.25])),
    }
    save_proposals(content, tmp_path / 'a.npz')
    found = read_proposals(tmp_path / 'a.npz')
    assert list(found) == list(content)
    for name, item in content.items():
        for key in ('bboxes', 'scores'):
            assert found[name][key].dtype == np.float32
            np.testing.assert_array_equal(found[name][key], item[key])
    assert [path.name for path in tmp_path.iterdir()] == ['a.npz']


class Attack:
    """Pickled as a call that makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_pickled_proposals_are_refused_and_do_not_run(tmp_path):
    attack = Attack(tmp_path / 'it ran')
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps(attack))
    with pytest.raises(UserError, match=r'a\.pkl are not an \.npz file.*mmrot proposals'):
        read_proposals(tmp_path / 'a.pkl')
    np.savez(tmp_path / 'b.npz', names=np.array([attack], object))
    with pytest.raises(UserError, match=r'b\.npz are damaged: Object arrays cannot be loaded'):
        read_proposals(tmp_path / 'b.npz')
    assert not (tmp_path / 'it ran').exists()


def test_damaged_proposals_are_refused(tmp_path):
    arrays = dict(
        names=np.array(['a', 'b']),
        counts=np.array([1, 1]),
        bboxes=np.zeros((2, 4)),
        scores=np.zeros(2),
    )
    file = tmp_path / 'a.npz'
    for changes, message in (
        (dict(counts=np.array([1, 2])), r'3 boxes expected, got \(2, 4\)'),
        (dict(names=np.array(['a'])), 'argument 2 is longer'),
    ):
        np.savez(file, **{**arrays, **changes})
        with pytest.raises(UserError, match=rf'a\.npz are damaged: .*{message}'):
            read_proposals(file)
    np.savez_compressed(file, **arrays)
    with pytest.raises(UserError, match=r"'names\.npy' is compressed"):
        read_proposals(file)
    np.savez(file, names=arrays['names'])
    with pytest.raises(UserError, match='counts'):
        read_proposals(file)
