import shutil

import pytest

from mmrot.datasets import ImageFolder
from mmrot.datasets.transforms import LoadResized


def paths(dataset: ImageFolder) -> list[str]:
    return [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]


def test_image_folder_sorts_and_splits_nested_photos(photo_folder):
    every = paths(ImageFolder(str(photo_folder)))
    assert len(every) == 24
    assert every == sorted(every)
    assert sum('holiday/day 2' in path for path in every) == 8
    assert paths(ImageFolder(str(photo_folder), split='val')) == [every[0], every[20]]
    assert paths(ImageFolder(str(photo_folder), split='train')) == every[1:20] + every[21:]


def test_image_folder_rejects_missing_folder(tmp_path, photo_folder):
    for path in (tmp_path / 'nowhere', photo_folder / '00.jpg', ''):
        with pytest.raises(FileNotFoundError, match=f"image folder '{path}' does not exist"):
            ImageFolder(str(path))


def test_image_folder_rejects_empty_folder(tmp_path):
    with pytest.raises(ValueError, match=r"has no photos for split='all'\. Photos end in \.bmp"):
        ImageFolder(str(tmp_path))


def test_image_folder_rejects_empty_split(tmp_path, photo_folder):
    (tmp_path / 'one.jpg').write_bytes((photo_folder / '00.jpg').read_bytes())
    assert len(ImageFolder(str(tmp_path), split='val')) == 1
    with pytest.raises(ValueError, match="no photos for split='train'"):
        ImageFolder(str(tmp_path), split='train')


def test_image_folder_rejects_unknown_split(photo_folder):
    with pytest.raises(ValueError, match="split='test' is not one of all, train, val"):
        ImageFolder(str(photo_folder), split='test')


def test_image_folder_reads_webp_and_logs_what_it_read(photo_folder, tmp_path, capsys):
    shutil.copytree(photo_folder, tmp_path / 'photos')
    (tmp_path / 'photos/00.jpg').rename(tmp_path / 'photos/00.webp')
    for name in ('a.heic', 'b.HEIC', '.hidden'):
        (tmp_path / 'photos' / name).touch()
    dataset = ImageFolder(str(tmp_path / 'photos'), split='train')
    assert len(dataset) == 22
    assert (
        'photos: 22 photos for training, 2 held out; skipped: 3 files with endings .heic, .txt'
        in capsys.readouterr().out
    )
    assert paths(ImageFolder(str(tmp_path / 'photos'), split='val'))[0].endswith('00.webp')
    assert capsys.readouterr().out == ''
    ImageFolder(str(photo_folder))
    assert capsys.readouterr().out.endswith(': 24 photos; skipped: 1 files with endings .txt\n')


def test_image_folder_loads_and_crops_in_one_step(photo_folder):
    pipeline = [
        dict(type='mmrot.LoadImage'),
        dict(type='mmpretrain.RandomResizedCrop', scale=8, backend='pillow'),
        dict(type='mmpretrain.PackInputs'),
    ]
    dataset = ImageFolder(str(photo_folder), pipeline=pipeline)
    assert isinstance(dataset.pipeline.transforms[0], LoadResized)
    assert dataset[0]['inputs'].shape == (3, 8, 8)
