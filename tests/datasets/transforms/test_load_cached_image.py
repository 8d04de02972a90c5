import errno
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers import write_photo
from mmpretrain.datasets.transforms import ResizeEdge
from torch.utils.data import DataLoader

from mmrot.datasets.seeded_samples import SeededSamples
from mmrot.datasets.transforms import LoadCachedImage, LoadImage
from mmrot.errors import ImageError, UserError


@pytest.fixture
def photo(tmp_path):
    write_photo(tmp_path / 'photos/a.jpg', np.random.default_rng(0), (60, 80))
    return str(tmp_path / 'photos/a.jpg')


@pytest.fixture
def decoded(monkeypatch):
    """Record the files that are decoded."""
    found = []
    decode = LoadImage.decode

    def record(self, path, *args):
        found.append(path)
        return decode(self, path, *args)

    monkeypatch.setattr(LoadImage, 'decode', record)
    return found


def files(folder) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob('*') if p.is_file()}


def load(folder, photo, short_side=100):
    return LoadCachedImage(str(folder), short_side).transform(dict(img_path=photo))


def test_image_is_decoded_once(tmp_path, photo, decoded):
    expected = LoadImage().transform(dict(img_path=photo))
    decoded.clear()
    for _ in range(3):
        found = load(tmp_path / 'cache', photo)
        np.testing.assert_array_equal(found.pop('img'), expected['img'])
        assert found == {key: value for key, value in expected.items() if key != 'img'}
    assert decoded == [photo]


def test_short_side_is_reduced_as_by_resize_edge(tmp_path, photo, decoded):
    step = ResizeEdge(40, 'short', backend='pillow')
    expected = step.transform(LoadImage().transform(dict(img_path=photo)))['img']
    for _ in range(2):
        found = load(tmp_path / 'cache', photo, 40)['img']
        np.testing.assert_array_equal(found, expected)
    assert load(tmp_path / 'cache', photo, 30)['img'].shape == (30, 40, 3)
    assert len(decoded) == 3


def test_changing_a_cached_image_leaves_the_cache(tmp_path, photo):
    load(tmp_path / 'cache', photo)
    before = files(tmp_path / 'cache')
    load(tmp_path / 'cache', photo)['img'][:] = 0
    assert files(tmp_path / 'cache') == before


def test_unreadable_cache_is_not_taken_for_a_missing_one(tmp_path, photo, monkeypatch):
    load = LoadCachedImage(str(tmp_path / 'cache'), 64)
    load(dict(img_path=str(photo)))

    def too_many(*_, **__):
        raise OSError(errno.EMFILE, 'Too many open files')

    monkeypatch.setattr('mmap.mmap', too_many)
    with pytest.raises(UserError, match=r'image cache .*: Too many open files'):
        load(dict(img_path=str(photo)))


def test_changed_photo_is_decoded_again(tmp_path, photo):
    load(tmp_path / 'cache', photo)
    modified = os.stat(photo).st_mtime_ns
    cv2.imwrite(photo, np.zeros((60, 80, 3), np.uint8))
    os.utime(photo, ns=(modified, modified))  # another size
    assert load(tmp_path / 'cache', photo)['img'].max() == 0
    size = os.path.getsize(photo)
    cv2.imwrite(photo, np.full((60, 80, 3), 255, np.uint8))
    assert os.path.getsize(photo) == size  # another time
    os.utime(photo, ns=(modified, modified + 10**9))
    assert load(tmp_path / 'cache', photo)['img'].min() == 255


@pytest.mark.parametrize('size', [0, 5, 8, 1000])
def test_cache_cut_off_by_a_crash_is_completed(size, tmp_path, photo):
    expected = load(tmp_path / 'cache', photo)['img']
    before = files(tmp_path / 'cache')
    (name,) = before
    (tmp_path / 'cache' / name).write_bytes(before[name][:size])
    np.testing.assert_array_equal(load(tmp_path / 'cache', photo)['img'], expected)
    assert files(tmp_path / 'cache') == before


def test_image_in_a_shard_is_decoded_once(tmp_path, photo, decoded):
    expected = LoadImage().transform(dict(img_path=photo))['img']
    decoded.clear()
    for _ in range(2):
        sample = dict(img_path='000000.tar/0', img_bytes=Path(photo).read_bytes())
        found = LoadCachedImage(str(tmp_path / 'cache'), 100).transform(sample)
        np.testing.assert_array_equal(found['img'], expected)
        assert 'img_bytes' not in found
    assert len(decoded) == 1


def test_interruption_leaves_no_part_of_a_file(tmp_path, photo, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, 'replace', interrupt)
        with pytest.raises(KeyboardInterrupt):
            load(tmp_path / 'cache', photo)
    assert files(tmp_path / 'cache') == {}
    load(tmp_path / 'cache', photo)
    load(tmp_path / 'other', photo)
    assert files(tmp_path / 'cache') == files(tmp_path / 'other') != {}


def test_unwritable_cache_is_named(tmp_path, photo):
    (tmp_path / 'cache').write_text('')
    with pytest.raises(UserError, match=r'image cache .*cache: Not a directory\.'):
        load(tmp_path / 'cache', photo)


def test_bad_photo_is_not_cached(tmp_path):
    (tmp_path / 'a.jpg').write_bytes(b'no image')
    with pytest.raises(ImageError, match=r'image .*a\.jpg: no image header'):
        load(tmp_path / 'cache', str(tmp_path / 'a.jpg'))
    assert not (tmp_path / 'cache').exists()


def test_samples_depend_on_neither_workers_nor_batches_nor_the_cache(tmp_path):
    rng = np.random.default_rng(0)
    for index in range(6):
        write_photo(tmp_path / f'photos/{index}.jpg', rng, (40 + index, 60))
    dataset = dict(
        type='mmrot.ImageFolder',
        data_root=str(tmp_path / 'photos'),
        pipeline=[
            dict(type='mmrot.LoadCachedImage', folder=str(tmp_path / 'cache'), short_side=100),
            dict(type='mmrot.TorchResizedCrop', scale=16, flip=True),
            dict(type='mmpretrain.PackInputs'),
        ],
    )
    samples = SeededSamples(dataset, seed=3)

    def inputs(order, **kwargs):
        loader = DataLoader(samples, sampler=order, collate_fn=list, **kwargs)
        images = [sample['inputs'] for batch in loader for sample in batch]
        return torch.stack([images[order.index(index)] for index in range(6)])

    first = inputs([0, 1, 2, 3, 4, 5], batch_size=6)
    second = inputs([5, 3, 1, 0, 2, 4], batch_size=2, num_workers=2)
    assert torch.equal(first, second)
    assert not torch.equal(first[0], first[1])
    assert len(files(tmp_path / 'cache')) == 6
