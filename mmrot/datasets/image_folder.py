import os.path as osp
from collections import Counter
from pathlib import Path

from mmengine.logging import print_log
from mmpretrain.datasets import CustomDataset

from mmrot.errors import UserError
from mmrot.registry import DATASETS

from .transforms import fuse_loading

_SPLITS = ('all', 'train', 'val')
# Those of mmpretrain, and .webp.
EXTENSIONS = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif', '.tiff', '.webp')


@DATASETS.register_module()
class ImageFolder(CustomDataset):
    """All photos in a folder and its subfolders, without labels.

    The log says how many there are, and which files were skipped for their endings. Where the
    pipeline allows it, large JPEGs are decoded at reduced size, see
    :func:`mmrot.datasets.transforms.load_resized.load_resized`.

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
        super().__init__(
            **{'data_root': data_root, 'with_label': False, 'extensions': EXTENSIONS, **kwargs}
        )
        self.pipeline.transforms = fuse_loading(self.pipeline.transforms)

    def load_data_list(self) -> list[dict]:
        """List the photos of the split, sorted by path."""
        root = self.img_prefix
        try:
            photos = sorted(super().load_data_list(), key=lambda photo: photo['img_path'])
        except RuntimeError:  # mmpretrain found no files
            photos = []
        found = len(photos)
        if self.split != 'all':
            keep_val = self.split == 'val'
            photos = [p for i, p in enumerate(photos) if (i % self.HOLD_OUT == 0) == keep_val]
        if not photos:
            raise UserError(
                f'image folder {root} has no photos for split={self.split!r}. Photos end in '
                f'{", ".join(sorted(self.extensions))}.'
            )
        if self.split != 'val':  # the data for training name it, too
            held_out = f' for training, {found - len(photos)} held out'
            print_log(
                f'{root.rstrip("/")}: {len(photos)} photos'
                + held_out * (self.split == 'train')
                + self._skipped(),
                logger='current',
            )
        return photos

    def _skipped(self) -> str:
        """Describe the files that are not hidden and have other endings."""
        others = Counter(
            path.suffix.lower() or 'none'
            for path in Path(self.img_prefix).rglob('[!.]*')
            if not path.name.lower().endswith(tuple(self.extensions)) and path.is_file()
        )
        if not others:
            return ''
        endings = ', '.join(ending for ending, _ in others.most_common(5))
        return f'; skipped: {others.total()} files with endings {endings}'
