from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import savemat

pytest.importorskip('mmseg')
from mmrot.segmentation import prepare_sbd

# photos, VOC 2012's val, VOC 2011's val, SBD's train
PHOTOS, VAL12, VAL11, TRAIN = 'abcdef', 'abf', 'bcd', 'dea'


def lines(names: str) -> str:
    return ''.join(f'2008_{name}\n' for name in names)


@pytest.fixture
def folders(tmp_path) -> tuple[Path, Path, Path]:
    """VOC 2012, SBD, and VOC 2011's list."""
    voc12, sbd, voc11_val = tmp_path / 'VOC2012', tmp_path / 'dataset', tmp_path / 'val.txt'
    for folder in (voc12 / 'JPEGImages', voc12 / 'ImageSets/Segmentation', sbd / 'cls'):
        folder.mkdir(parents=True)
    for name in PHOTOS:
        (voc12 / f'JPEGImages/2008_{name}.jpg').write_bytes(b'a photo')
    (voc12 / 'ImageSets/Segmentation/val.txt').write_text(lines(VAL12))
    (sbd / 'train.txt').write_text(lines(TRAIN))
    voc11_val.write_text(lines(VAL11))
    for value, name in enumerate(TRAIN):
        mask = np.array([[0, value, 20], [255, 5, 6]], np.uint8)
        savemat(sbd / f'cls/2008_{name}.mat', {'GTcls': {'Segmentation': mask}})
    return voc12, sbd, voc11_val


def test_sbd_lists_and_masks(folders):
    assert prepare_sbd(*folders) == {'sbd_train': 3, 'seg11valid': 2, 'fcn_val': 4}
    lists = folders[0] / 'ImageSets/Segmentation'
    assert (lists / 'sbd_train.txt').read_text() == lines('dea')
    assert (lists / 'seg11valid.txt').read_text() == lines('bc')  # d trains
    assert (lists / 'fcn_val.txt').read_text() == lines('bcaf')
    assert (lists / 'val.txt').read_text() == lines(VAL12)
    mask = cv2.imread(str(folders[0] / 'SegmentationClassSBD/2008_a.png'), cv2.IMREAD_UNCHANGED)
    assert mask.tolist() == [[0, 2, 20], [255, 5, 6]]
    assert len(list((folders[0] / 'SegmentationClassSBD').iterdir())) == 3
    prepare_sbd(*folders)  # again


def test_other_lists_are_not_overwritten(folders):
    path = folders[0] / 'ImageSets/Segmentation/seg11valid.txt'
    path.write_text(lines('f'))
    with pytest.raises(ValueError, match=r'seg11valid\.txt exists with another content'):
        prepare_sbd(*folders)
    assert path.read_text() == lines('f')
    assert not (folders[0] / 'SegmentationClassSBD').exists()


def test_missing_photo_and_invalid_mask_are_named(folders):
    photo = folders[0] / 'JPEGImages/2008_e.jpg'
    photo.rename(photo.with_suffix('.png'))
    with pytest.raises(ValueError, match=r'2008_e\.jpg is missing'):
        prepare_sbd(*folders)
    photo.with_suffix('.png').rename(photo)
    savemat(folders[1] / 'cls/2008_e.mat', {'other': 1})
    with pytest.raises(ValueError, match=r'2008_e\.mat is not a mask of SBD'):
        prepare_sbd(*folders)
