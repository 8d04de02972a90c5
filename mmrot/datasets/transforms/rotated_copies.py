from collections.abc import Sequence

import torch
from mmcv.transforms import BaseTransform

from mmrot.registry import TRANSFORMS
from mmrot.rotation import QUARTER_TURNS, check_angles, rotated_copies


@TRANSFORMS.register_module()
class RotatedCopies(BaseTransform):
    """Replace an image in the pipeline with its rotated copies.

    Training does not need this transform:
    :class:`mmrot.models.RotationDataPreprocessor` makes the same copies on the
    device, so that only one copy instead of K is transferred. Use it to inspect
    the copies or to feed them to another model, directly before ``PackInputs``
    and with ``default_collate``.

    **Required keys:** ``img`` (H, W, C), square unless all angles are 0 or 180.

    **Modified keys:** ``img``, a list of K arrays (H, W, C) of the same dtype.

    Args:
        angles: Angle set in degrees counter-clockwise.
        crop_upright: Whether a set with diagonals crops all copies, see
            :func:`mmrot.rotation.rotated_copies`.

    Raises:
        UserError: If the angle set is invalid.
    """

    def __init__(self, angles: Sequence[int] = QUARTER_TURNS, crop_upright: bool = True) -> None:
        self.angles = check_angles(angles)
        self.crop_upright = crop_upright

    def transform(self, results: dict) -> dict:
        image = torch.from_numpy(results['img']).permute(2, 0, 1)  # (C, H, W)
        copies = rotated_copies(image[None], self.angles, self.crop_upright)  # (K, C, H, W)
        results['img'] = [copy.permute(1, 2, 0).contiguous().numpy() for copy in copies]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(angles={self.angles}, crop_upright={self.crop_upright})'
