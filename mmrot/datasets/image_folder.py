import os.path as osp

from mmpretrain.datasets import CustomDataset

from mmrot.errors import UserError
from mmrot.registry import DATASETS

_SPLITS = ('all', 'train', 'val')


@DATASETS.register_module()
class ImageFolder(CustomDataset):
    """All photos in a folder and its subfolders, without labels.

    Args:
        data_root: The folder.
        split: ``'val'`` for every 20th photo in the order of paths, ``'train'``
            for the others, ``'all'`` for both.
        **kwargs: ``pipeline`` and other arguments of mmpretrain's
            ``CustomDataset``.

    Raises:
        FileNotFoundError: If the folder does not exist.
        UserError: If the split is unknown or empty.
    """

    HOLD_OUT = 20

    def __init__(self, data_root: str, split: str = 'all', **kwargs) -> None:
        if split not in _SPLITS:
            raise UserError(f'split={split!r} is not one of {", ".join(_SPLITS)}.')
        if not osp.isdir(data_root):
            raise FileNotFoundError(f'image folder {data_root!r} does not exist.')
        self.split = split
        super().__init__(data_root=data_root, with_label=False, **kwargs)

    def load_data_list(self) -> list[dict]:
        """List the photos of the split, sorted by path."""
        root = self.img_prefix
        try:
            photos = sorted(super().load_data_list(), key=lambda photo: photo['img_path'])
        except RuntimeError:  # mmpretrain found no files
            photos = []
        if self.split != 'all':
            keep_val = self.split == 'val'
            photos = [p for i, p in enumerate(photos) if (i % self.HOLD_OUT == 0) == keep_val]
        if not photos:
            raise UserError(
                f'image folder {root} has no photos for split={self.split!r}. Photos end in '
                f'{", ".join(sorted(self.extensions))}.'
            )
        return photos
