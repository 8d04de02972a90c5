import io

import cv2
import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine import fileio

from mmrot.errors import ImageError
from mmrot.registry import TRANSFORMS

from ..image_header import header_problem

_REDUCED = {
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """Load an image upright; name the file if it cannot be decoded.

    Unlike mmcv's ``LoadImageFromFile``, its errors name the file, it refuses images of more than
    2^27 pixels, and it applies the EXIF orientation of WebP files, which would load sideways.

    Args:
        **kwargs: Arguments of mmcv's ``LoadImageFromFile``.
    """

    def transform(self, results: dict) -> dict:
        """Load the image of a sample.

        Args:
            results: Sample with ``img_path``, and ``img_bytes`` if it was read already.

        Returns:
            The sample with ``img`` (H, W, C), ``img_shape`` and ``ori_shape``.

        Raises:
            ImageError: If the file is empty, cannot be decoded, or has more than 2^27 pixels.
        """
        image = self.decode(results['img_path'], self.read(results))
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def read(self, results: dict) -> bytes:
        """Read an image file and check its header.

        Args:
            results: As for :meth:`transform`; ``img_bytes`` are removed.

        Raises:
            ImageError: As :meth:`transform`.
        """
        path = results['img_path']
        data = results.pop('img_bytes', None)
        if data is None:
            data = fileio.get(path, backend_args=self.backend_args)
        problem = header_problem(io.BytesIO(data)) if data else 'empty file'
        if problem:
            raise ImageError(f'image {path}: {problem}.')
        return data

    def decode(self, path: str, data: bytes, reduction: int = 1) -> np.ndarray:
        """Decode an image file.

        Args:
            path: The file, for messages.
            data: Its content.
            reduction: Factor by which both sides of a JPEG are reduced while decoding: 1, 2, 4 or
                8. Factors above 1 always decode in colour.

        Returns:
            The image (H, W, C).

        Raises:
            ImageError: If the file cannot be decoded.
        """
        flag = self.color_type if reduction == 1 else _REDUCED[reduction]
        webp = data[:4] == b'RIFF' and data[8:12] == b'WEBP'
        try:
            image = mmcv.imfrombytes(
                data, flag=flag, backend='pillow' if webp else self.imdecode_backend
            )
        except (cv2.error, OSError, SyntaxError, ValueError) as error:
            reason = ' '.join(str(error).split())
            raise ImageError(f'image {path}: cannot be decoded: {reason}.') from error
        if image is None:
            raise ImageError(f'image {path}: cannot be decoded.')
        return image
