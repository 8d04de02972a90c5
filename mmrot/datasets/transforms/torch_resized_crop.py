import cv2
import numpy as np
import torch
from mmpretrain.datasets.transforms import RandomResizedCrop
from torch.nn.functional import interpolate

from mmrot.registry import TRANSFORMS


@TRANSFORMS.register_module()
class TorchResizedCrop(RandomResizedCrop):
    """mmpretrain's ``RandomResizedCrop`` and ``RandomFlip`` in one, resized by PyTorch.

    On processors with AVX2, resizing takes a sixth of the time of the pillow backend. Crops and
    flips are the same, and pixels differ by at most 2 levels of 255.

    Args:
        flip: Whether to mirror each crop with probability 0.5.
        **kwargs: Arguments of mmpretrain's ``RandomResizedCrop`` but ``backend`` and
            ``interpolation``, which is bilinear.
    """

    def __init__(self, *, flip: bool = False, **kwargs) -> None:
        super().__init__(**kwargs)
        self.flip = flip

    def transform(self, results: dict) -> dict:
        """Crop and resize the image of a sample.

        Args:
            results: Sample with ``img`` (H, W, C) uint8.

        Returns:
            The sample with the crop as ``img``, its ``img_shape``, ``flip`` and
            ``flip_direction``.
        """
        top, left, height, width = self.rand_crop_params(results['img'])
        crop = results['img'][None, top : top + height, left : left + width]
        crop = np.ascontiguousarray(crop)  # the kernel of PyTorch is slower without
        resized = interpolate(
            torch.from_numpy(crop).permute(0, 3, 1, 2),  # (1, C, H, W), channels last
            self.scale,
            mode='bilinear',
            antialias=True,
        )
        image = resized[0].permute(1, 2, 0).numpy()  # (H, W, C)
        # drawn as by np.random.choice in RandomFlip
        flipped = self.flip and np.random.random_sample() < 0.5  # noqa: NPY002
        results['img'] = cv2.flip(image, 1) if flipped else image
        results['img_shape'] = image.shape
        results['flip'] = flipped
        results['flip_direction'] = 'horizontal' if flipped else None
        return results

    def __repr__(self) -> str:
        return f'{super().__repr__()[:-1]}, flip={self.flip})'
