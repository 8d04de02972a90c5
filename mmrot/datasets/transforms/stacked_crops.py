from collections.abc import Sequence
from copy import deepcopy

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from mmrot.registry import TRANSFORMS


@TRANSFORMS.register_module()
class StackedCrops(BaseTransform):
    """Apply random transforms several times and stack the results vertically.

    One image holds all crops, so collation and data preprocessors need not know of
    them; :class:`mmrot.TenCropClassifier` separates them.

    **Modified keys:** ``img`` (num_crops·H, W, C) and ``img_shape``.

    Args:
        transforms: Transforms that return images of one size (H, W, C).
        num_crops: Number of crops.
    """

    def __init__(self, transforms: Sequence[dict], num_crops: int = 10) -> None:
        self.transforms = Compose(transforms)
        self.num_crops = num_crops

    def transform(self, results: dict) -> dict:
        crops = [self.transforms(deepcopy(results))['img'] for _ in range(self.num_crops)]
        results['img'] = np.concatenate(crops)  # (num_crops*H, W, C)
        results['img_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.transforms}, num_crops={self.num_crops})'
