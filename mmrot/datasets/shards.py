import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from mmengine.logging import print_log
from mmpretrain.datasets import BaseDataset

from mmrot.archive import check_archive
from mmrot.errors import UserError
from mmrot.files import replacing
from mmrot.registry import DATASETS

from .image_folder import ImageFolder
from .shard_storage import ShardStorage, check_sizes
from .transforms import fuse_loading

INDEX = 'index.npz'
SETTINGS = 'pack.json'
_SPLITS = ('all', 'train', 'val')
_ARRAYS = ('keys', 'offsets', 'sizes', 'counts', 'shard_bytes')


def is_pack(folder: str | Path) -> bool:
    """Return whether a local folder holds shards of ``mmrot pack``, complete or not."""
    return any(Path(folder, name).is_file() for name in (INDEX, SETTINGS))


def shard_name(number: int) -> str:
    """Return the file name of a shard."""
    return f'{number:06d}.tar'


def sample_key(key: int) -> str:
    """Return the name of an image in its shard, without the ending."""
    return f'{key:09d}'


@DATASETS.register_module()
class Shards(BaseDataset):
    """The photos in the tar shards of ``mmrot pack``, without labels.

    The index stores the byte range of each image in its shard. Images can therefore be read in any
    order, and the order of the samples depends neither on the sizes of the shards nor on the
    number of processes and workers. :class:`mmrot.LoadImage` decodes the images, large JPEGs at
    reduced size as in :class:`mmrot.ImageFolder`.

    Args:
        data_root: Local folder; URL of a folder, ``http(s)://`` or any that fsspec reads, such as
            ``s3://``, with the package for it; or a shell command that writes one file, as
            ``pipe:aws s3 cp s3://bucket/photos/{shard} -``.
        split: ``'val'`` for every 20th photo, ``'train'`` for the others, ``'all'`` for both.
        cache_dir: Local folder to which a remote shard is copied when its first image is needed.
            Required for commands; otherwise single images are fetched by default.
        pipeline: Transforms.
        indices: Subset of the split: a sequence of indices, or an integer n for the first n
            samples (the last ones if negative). By default all.

    Raises:
        UserError: If the split is unknown or empty; if the index is missing or damaged; if a local
            shard is missing or has another size than the index says.
    """

    _fully_initialized: bool  # of the base class

    def __init__(
        self,
        data_root: str,
        split: str = 'all',
        cache_dir: str | None = None,
        pipeline: Sequence = (),
        indices: int | Sequence[int] | None = None,
    ) -> None:
        if split not in _SPLITS:
            raise UserError(f'split={split!r} is not one of {", ".join(_SPLITS)}.')
        self.split = split
        self.storage = ShardStorage(data_root, cache_dir)
        super().__init__(ann_file='', pipeline=pipeline, indices=indices)
        self.pipeline.transforms = fuse_loading(self.pipeline.transforms)

    def full_init(self) -> None:
        """Read the index. mmengine would make a dict of each image."""
        if self._fully_initialized:
            return
        index = _read_index(self.storage)
        self._keys, self._offsets, self._sizes, counts, self._shard_bytes = (
            index[name] for name in _ARRAYS
        )
        self._ends = np.cumsum(counts)
        sizes = enumerate(self._shard_bytes.tolist())
        check_sizes(self.storage, {shard_name(number): size for number, size in sizes})
        rows = np.arange(len(self._keys))
        if self.split != 'all':
            rows = rows[(rows % ImageFolder.HOLD_OUT == 0) == (self.split == 'val')]
        if not len(rows):
            raise UserError(f'{self.storage.root} has no photos for split={self.split!r}.')
        if self.split != 'val':  # the data for training name it, too
            print_log(
                f'{self.storage.root}: {len(rows)} of {len(self._keys)} photos in {len(counts)} '
                'shards',
                logger='current',
            )
        self._rows = rows
        if self._indices is not None:
            self.get_subset_(self._indices)
        self._fully_initialized = True

    def __len__(self) -> int:
        return len(self._rows)

    def get_subset_(self, indices: int | Sequence[int]) -> None:
        """Keep some samples only.

        Args:
            indices: A sequence of indices, or an integer n for the first n samples (the last ones
                if negative).
        """
        if isinstance(indices, int):
            indices = range(len(self))[:indices] if indices >= 0 else range(len(self))[indices:]
        self._rows = self._rows[np.asarray(indices, np.int64)]

    def get_subset(self, indices: int | Sequence[int]) -> 'Shards':
        """Return a dataset with some of the samples.

        Args:
            indices: As for :meth:`get_subset_`.
        """
        subset = copy.copy(self)
        subset.get_subset_(indices)
        return subset

    def _find(self, idx: int) -> tuple[int, int]:
        """Return the position of a sample in the index, and the number of its shard."""
        row = int(self._rows[idx])
        return row, int(np.searchsorted(self._ends, row, side='right'))

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return ``img_path``, the shard and the key of an image in it, and ``sample_idx``."""
        row, shard = self._find(idx)
        path = f'{self.storage.address(shard_name(shard))}/{sample_key(int(self._keys[row]))}'
        return dict(img_path=path, sample_idx=idx)

    def prepare_data(self, idx: int) -> Any:
        """Read an image and apply the pipeline.

        Raises:
            UserError: If it cannot be read.
        """
        row, shard = self._find(idx)
        info = self.get_data_info(idx)
        offset, size = int(self._offsets[row]), int(self._sizes[row])
        total = int(self._shard_bytes[shard])
        data = self.storage.read(shard_name(shard), offset, size, total)
        if len(data) != size:
            raise UserError(
                f'image {info["img_path"]} is beyond the end of its shard, which is truncated. '
                'Copy or pack the shard again.'
            )
        return self.pipeline({**info, 'img_bytes': data})


def _read_index(storage: ShardStorage) -> dict[str, np.ndarray]:
    """Read and check the arrays that :func:`write_index` wrote."""
    name = storage.address(INDEX)
    try:
        file = storage.read_index(INDEX)
    except FileNotFoundError as error:
        if is_pack(storage.root):
            problem = 'is missing because the pack is incomplete. Run `mmrot pack` again'
        else:
            problem = 'does not exist. Create a pack with `mmrot pack`'
        raise UserError(f'{name} {problem}.') from error
    try:
        with file:
            check_archive(file)
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                index = {key: arrays[key] for key in _ARRAYS}
    except (KeyError, MemoryError, TypeError, ValueError, BadZipFile) as error:
        raise UserError(f'{name} is damaged: {error}') from error
    keys, offsets, sizes, counts, shard_bytes = index.values()
    if (
        any(array.ndim != 1 or array.dtype != np.int64 for array in index.values())
        or any((array < 0).any() for array in index.values())
        or not len(keys) == len(offsets) == len(sizes) == counts.sum()
        or len(counts) != len(shard_bytes)
        or (offsets + sizes > np.repeat(shard_bytes, counts)).any()
    ):
        raise UserError(f'{name} is damaged: its arrays contradict each other.')
    return index


def write_index(
    folder: str | Path, images: Sequence[np.ndarray], shard_bytes: Sequence[int]
) -> None:
    """Write the index of all shards.

    Args:
        folder: Folder of the shards.
        images: For each shard, (N, 3) int64: key, offset and size in bytes of its images.
        shard_bytes: Size of each shard in bytes.
    """
    counts = [len(rows) for rows in images]
    columns = (*np.concatenate(images).T, np.array(counts), np.array(shard_bytes))
    with replacing(Path(folder, INDEX)) as temporary, temporary.open('wb') as file:
        np.savez(file, **dict(zip(_ARRAYS, columns, strict=True)))
