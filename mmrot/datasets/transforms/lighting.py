import numpy as np
from mmcv.transforms import BaseTransform

from mmrot.registry import TRANSFORMS

# Principal components of ImageNet's colours, for RGB values in [0, 255]: the columns of
# _EIGENVECTORS, whose rows are R, G and B.
_EIGENVALUES = 255 * np.array([0.2175, 0.0188, 0.0045])
_EIGENVECTORS = np.array(
    [
        [-0.5675, 0.7192, 0.4009],
        [-0.5808, -0.0045, -0.8140],
        [-0.5836, -0.6948, 0.4203],
    ]
)
_STD = 0.1


@TRANSFORMS.register_module()
class Lighting(BaseTransform):
    """Shift the colour of an image along the principal components of ImageNet's colours.

    Krizhevsky et al., *ImageNet Classification with Deep Convolutional Neural
    Networks*, NIPS 2012, Section 4.1. mmpretrain's ``Lighting`` rounds the result
    to the image's integer type, in which white wraps around to black, and with
    ``to_rgb`` leaves the channels swapped.

    **Modified keys:** ``img``, BGR (H, W, 3) in [0, 255] as mmcv decodes it, becomes
    float32 in the same order. Values are not clipped.
    """

    def transform(self, results: dict) -> dict:
        alpha = np.random.normal(0, _STD, 3)  # noqa: NPY002, the generator that mmengine seeds
        shift = _EIGENVECTORS @ (alpha * _EIGENVALUES)  # (3,) RGB
        results['img'] = (results['img'] + shift[::-1]).astype(np.float32)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
