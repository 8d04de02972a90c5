import shutil

import pytest

from projects.cifar10_study import find_data


def test_find_data_counts_images(data):
    found = find_data(data)
    assert (found.name, found.from_folder) == ('grey', True)
    assert (found.images, found.per_class) == (200, 20)


def test_find_data_ignores_other_files_and_the_location(data, tmp_path):
    shutil.copytree(data, tmp_path / 'grey')
    (tmp_path / 'grey/train/bird/Thumbs.db').write_text('not an image')
    assert find_data(tmp_path / 'grey').sha256 == find_data(data).sha256
    (tmp_path / 'grey/train/bird/0.png').unlink()
    found = find_data(tmp_path / 'grey')
    assert found.sha256 != find_data(data).sha256
    assert (found.images, found.per_class) == (199, 19)


def test_find_data_accepts_the_python_form(tmp_path):
    (tmp_path / 'cifar-10-batches-py').mkdir()
    (tmp_path / 'cifar-10-batches-py/test_batch').write_text('1')
    found = find_data(tmp_path)
    assert (found.from_folder, found.images, found.per_class) == (False, 50000, 5000)


def test_find_data_rejects_other_folders(data, tmp_path):
    with pytest.raises(ValueError, match=r'--data .*nothing: expected cifar-10-batches-py/ in it'):
        find_data(tmp_path / 'nothing')
    shutil.copytree(data, tmp_path / 'grey')
    (tmp_path / 'grey/test/bird').rename(tmp_path / 'grey/test/birds')
    with pytest.raises(ValueError, match='test has the classes airplane, automobile, birds, cat'):
        find_data(tmp_path / 'grey')
