from pathlib import Path

import cv2
from rich.progress import track
from scipy.io import loadmat

from mmrot.errors import UserError


def prepare_sbd(voc12: Path, sbd: Path, voc11_val: Path) -> dict[str, int]:
    """Add the masks and the lists of FCN-32s to VOC 2012.

    Long et al., *Fully Convolutional Networks for Semantic Segmentation*, CVPR 2015,
    train on the training images of SBD (Hariharan et al., ICCV 2011) and test on
    "seg11valid", the validation images of VOC 2011 that are not among them. SBD's
    photos are VOC's.

    Written to VOC 2012: ``SegmentationClassSBD/*.png``, and in
    ``ImageSets/Segmentation/`` the lists ``sbd_train.txt``, ``seg11valid.txt`` and
    ``fcn_val.txt``, the images of seg11valid and VOC 2012's val. Masks that exist are
    not converted again.

    Args:
        voc12: Folder ``VOCdevkit/VOC2012``.
        sbd: Folder ``benchmark_RELEASE/dataset`` with ``cls/*.mat`` and ``train.txt``.
        voc11_val: VOC 2011's list ``ImageSets/Segmentation/val.txt``.

    Returns:
        Number of images in each list by its name.

    Raises:
        UserError: If a photo is missing, a mask is invalid, or a list exists with
            another content.
    """
    train = _names(sbd / 'train.txt')
    lists = voc12 / 'ImageSets/Segmentation'
    seg11valid = [name for name in _names(voc11_val) if name not in set(train)]
    val = [*dict.fromkeys([*seg11valid, *_names(lists / 'val.txt')])]
    contents = {'sbd_train': train, 'seg11valid': seg11valid, 'fcn_val': val}
    texts = {lists / f'{name}.txt': ''.join(f'{n}\n' for n in c) for name, c in contents.items()}
    for path, text in texts.items():
        if path.exists() and path.read_text() != text:
            raise UserError(f'{path} exists with another content. Remove it first.')
    for name in {*train, *val}:
        if not (photo := voc12 / f'JPEGImages/{name}.jpg').exists():
            raise UserError(f'{photo} is missing.')
    masks = voc12 / 'SegmentationClassSBD'
    masks.mkdir(exist_ok=True)
    for name in track(train, 'Masks'):
        if not (path := masks / f'{name}.png').exists():
            _write_mask(sbd / f'cls/{name}.mat', path)
    for path, text in texts.items():
        path.write_text(text)
    return {name: len(content) for name, content in contents.items()}


def _names(path: Path) -> list[str]:
    names = path.read_text().split()
    if not names:
        raise UserError(f'{path} lists no images.')
    return names


def _write_mask(source: Path, path: Path) -> None:
    """Convert a mask of SBD to a greyscale image of class indices."""
    try:
        mask = loadmat(source)['GTcls'][0, 0]['Segmentation']  # (H, W) uint8
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f'{source} is not a mask of SBD: {error}') from error
    temporary = path.with_name(f'.{path.name}')  # an interrupted run leaves no incomplete mask
    temporary.write_bytes(cv2.imencode('.png', mask)[1].tobytes())
    temporary.replace(path)
