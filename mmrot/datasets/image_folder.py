import os.path as osp

from mmpretrain.datasets import CustomDataset

from mmrot.errors import UserError
from mmrot.registry import DATASETS

_SPLITS = ('all', 'train', 'val')


@DATASETS.register_module()
class ImageFolder(CustomDataset):
    """All photos in a folder and in the folders inside it, without labels.

    Args:
        data_root (str): The folder.
        split (str): ``'val'`` is every 20th photo in the order of their names,
            ``'train'`` the others, ``'all'`` both.
        **kwargs: ``pipeline`` and the other arguments of mmpretrain's
            ``CustomDataset``.

    Raises:
        FileNotFoundError: If the folder does not exist.
        UserError: If the split is unknown, or has no photo.
    """

    HOLD_OUT = 20

    def __init__(self, data_root: str, split: str = 'all', **kwargs) -> None:
        if split not in _SPLITS:
            raise UserError(f'split={split!r}: expected one of {", ".join(_SPLITS)}')
        if not osp.isdir(data_root):
            raise FileNotFoundError(f'image folder {data_root!r}: expected an existing folder')
        self.split = split
        super().__init__(data_root=data_root, with_label=False, **kwargs)

    def load_data_list(self) -> list[dict]:
        """List the photos of the split, sorted by path."""
        root = self.img_prefix
        try:
            photos = sorted(super().load_data_list(), key=lambda photo: photo['img_path'])
        except RuntimeError:  # mmpretrain's word for "none"
            photos = []
        if self.split != 'all':
            keep_val = self.split == 'val'
            photos = [p for i, p in enumerate(photos) if (i % self.HOLD_OUT == 0) == keep_val]
        if not photos:
            raise UserError(
                f'image folder {root} has no photo for split={self.split!r}: expected files '
                f'ending in {", ".join(sorted(self.extensions))}, in it or in folders inside it'
            )
        return photos
