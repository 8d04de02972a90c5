import io

import cv2
import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine import fileio

from mmrot.errors import ImageError
from mmrot.registry import TRANSFORMS

from ..image_header import header_problem


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """Load an image upright; name the file if it cannot be decoded.

    mmcv's ``LoadImageFromFile`` raises errors of OpenCV without the name of the file, decodes
    images of any size, and ignores the EXIF orientation of WebP, so that photos lie on their side.

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
        path = results['img_path']
        data = results.pop('img_bytes', None)
        if data is None:
            data = fileio.get(path, backend_args=self.backend_args)
        problem = header_problem(io.BytesIO(data)) if data else 'empty file'
        if problem:
            raise ImageError(f'image {path}: {problem}.')
        webp = data[:4] == b'RIFF' and data[8:12] == b'WEBP'
        try:
            image = mmcv.imfrombytes(
                data, flag=self.color_type, backend='pillow' if webp else self.imdecode_backend
            )
        except (cv2.error, OSError, SyntaxError, ValueError) as error:
            reason = ' '.join(str(error).split())
            raise ImageError(f'image {path}: cannot be decoded: {reason}.') from error
        if image is None:
            raise ImageError(f'image {path}: cannot be decoded.')
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results
