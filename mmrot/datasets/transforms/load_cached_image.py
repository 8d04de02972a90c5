import hashlib
import mmap
import os
import secrets
import struct
from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform

from mmrot.errors import UserError
from mmrot.registry import TRANSFORMS

from .load_resized import Region, load_resized, short_side_region

_HEADER = '<ii'  # height and width


@TRANSFORMS.register_module()
class LoadCachedImage(BaseTransform):
    """Load an image upright, and cache it in decoded form.

    The first access decodes the image, downsamples it if its short side exceeds ``short_side``,
    and writes it to the cache; later ones memory-map that file. Its name is a hash of
    ``short_side`` and the photo's path, size and modification time, or of its content for images
    in shards. A modified photo is therefore decoded again, and processes, datasets and runs can
    share a folder. Writes are atomic. The page cache keeps files in memory while there is room;
    files in ``/dev/shm`` always stay there.

    Args:
        folder: Folder of the cache, created if missing.
        short_side: Largest short side of the cached images in pixels. Smaller images are cached
            as they are, bit for bit.
    """

    def __init__(self, folder: str, short_side: int) -> None:
        self.folder = folder
        self.short_side = short_side

    def transform(self, results: dict) -> dict:
        """Load the image of a sample.

        Args:
            results: Sample with ``img_path``: a local file, or any name if the encoded image is
                given as ``img_bytes``.

        Returns:
            The sample with ``img`` (H, W, 3), BGR, ``img_shape`` and ``ori_shape``.

        Raises:
            ImageError: If the file cannot be decoded.
            UserError: If the cache cannot be written.
        """
        file = self.file(results)
        image = _read(file)
        if image is None:
            image, _ = load_resized(results, self._region)
            _write(file, image)
        results.pop('img_bytes', None)
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def file(self, results: dict) -> Path:
        """Return the file of the cache for the image of a sample.

        Args:
            results: As for :meth:`transform`.
        """
        key: tuple
        if 'img_bytes' in results:
            key = (hashlib.sha256(results['img_bytes']).hexdigest(), self.short_side)
        else:
            path = results['img_path']
            stat = os.stat(path)
            key = (os.path.abspath(path), stat.st_size, stat.st_mtime_ns, self.short_side)
        digest = hashlib.sha256(repr(key).encode()).hexdigest()[:32]
        return Path(self.folder, digest[:2], digest[2:])

    def _region(self, shape: tuple[int, int]) -> Region:
        return short_side_region(shape, min(self.short_side, *shape))

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.folder!r}, short_side={self.short_side})'


def _read(file: Path) -> np.ndarray | None:
    """Memory-map a cached image. Return None if the file is missing or incomplete."""
    try:
        with file.open('rb') as opened:  # np.memmap takes five times as long
            # writable, as torch expects of arrays; the file stays as it is
            data = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY)
    except (FileNotFoundError, ValueError):  # ValueError: empty
        return None
    except OSError as error:
        raise UserError(f'image cache {file.parent.parent}: {error.strerror}.') from error
    height, width = struct.unpack_from(_HEADER, data) if len(data) >= 8 else (0, 0)
    if min(height, width) < 1 or len(data) != 8 + 3 * height * width:
        return None
    return np.frombuffer(data, np.uint8, offset=8).reshape(height, width, 3)


def _write(file: Path, image: np.ndarray) -> None:
    """Write height and width, then the pixels (H, W, 3)."""
    temporary = file.with_name(f'.{secrets.token_hex(8)}.tmp')  # one for each process
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open('wb') as output:
                output.write(struct.pack(_HEADER, *image.shape[:2]))
                output.write(image.data)
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f'image cache {file.parent.parent}: {error.strerror}.') from error
