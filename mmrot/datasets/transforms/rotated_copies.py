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

    Raises:
        UserError: If the angle set is invalid.
    """

    def __init__(self, angles: Sequence[int] = QUARTER_TURNS) -> None:
        self.angles = check_angles(angles)

    def transform(self, results: dict) -> dict:
        image = torch.from_numpy(results['img']).permute(2, 0, 1)  # (C, H, W)
        copies = rotated_copies(image[None], self.angles)  # (K, C, H, W)
        results['img'] = [copy.permute(1, 2, 0).contiguous().numpy() for copy in copies]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(angles={self.angles})'
