import pytest

from mmrot.datasets import ImageFolder


def paths(dataset: ImageFolder) -> list[str]:
    return [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]


def test_nested_folders_sorted_and_split(photo_folder):
    every = paths(ImageFolder(str(photo_folder)))
    assert len(every) == 24
    assert every == sorted(every)
    assert sum('holiday/day 2' in path for path in every) == 8
    assert paths(ImageFolder(str(photo_folder), split='val')) == [every[0], every[20]]
    assert paths(ImageFolder(str(photo_folder), split='train')) == every[1:20] + every[21:]


def test_missing_folder(tmp_path, photo_folder):
    for path in (tmp_path / 'nowhere', photo_folder / '00.jpg', ''):
        with pytest.raises(FileNotFoundError, match=f"'{path}': expected an existing folder"):
            ImageFolder(str(path))


def test_empty_folder(tmp_path):
    with pytest.raises(ValueError, match="has no photo for split='all': expected files ending"):
        ImageFolder(str(tmp_path))


def test_one_photo_cannot_be_split(tmp_path, photo_folder):
    (tmp_path / 'one.jpg').write_bytes((photo_folder / '00.jpg').read_bytes())
    assert len(ImageFolder(str(tmp_path), split='val')) == 1
    with pytest.raises(ValueError, match="no photo for split='train'"):
        ImageFolder(str(tmp_path), split='train')


def test_bad_split(photo_folder):
    with pytest.raises(ValueError, match="split='test': expected one of all, train, val"):
        ImageFolder(str(photo_folder), split='test')
