from collections.abc import Sequence

import torch
from mmpretrain.models import SelfSupDataPreprocessor
from torch import Tensor

from mmrot.errors import UserError
from mmrot.registry import MODELS
from mmrot.rotation import QUARTER_TURNS, check_angles, needs_warp, rotated_copies


@MODELS.register_module()
class RotationDataPreprocessor(SelfSupDataPreprocessor):
    """Normalise N images and turn them into N·K rotated copies on the device.

    Rotating here, after the transfer, keeps workers, collation and the bus at
    one copy of each image. A batch that :class:`mmrot.RotatedCopies` already
    rotated in the pipeline is recognised and gives the same copies bit for bit.

    Args:
        angles (Sequence[int]): The angle set in degrees counter-clockwise.
            :class:`mmrot.RotationPred` passes its own.
        channels_last (bool): Whether to hand on the copies in channels-last
            memory format. :class:`mmrot.RotationPred` passes its own.
        **kwargs: ``mean``, ``std``, ``to_rgb`` and the other arguments of
            mmpretrain's ``SelfSupDataPreprocessor``.

    Raises:
        UserError: If the angle set is not valid, the images are not square,
            or the pipeline made another number of copies.
    """

    def __init__(
        self, angles: Sequence[int] = QUARTER_TURNS, channels_last: bool = False, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.angles = check_angles(angles)
        self.channels_last = channels_last

    def forward(self, data: dict, training: bool = False) -> dict:
        """Prepare one collated batch.

        Args:
            data (dict): ``inputs``: (N, C, H, W) from ``default_collate`` or N
                tensors (C, H, W) from ``pseudo_collate``; behind
                ``RotatedCopies`` K tensors (N, C, H, W), or K sequences of N
                tensors (C, H, W). ``data_samples``: N samples, or absent.
            training (bool): Not used: training and testing rotate alike.

        Returns:
            dict: ``inputs``: (N·K, C, H, W) float32, image-major;
            ``data_samples`` as they came, one per image.
        """
        inputs = self.cast_data(data['inputs'])
        samples = self.cast_data(data.get('data_samples'))
        inputs, rotated = self._stack(inputs)
        # Flips and transposes commute with normalisation, so N images are
        # normalised, not N*K. A warp commutes only up to rounding: it goes
        # first, on the same raw pixels that the pipeline transform sees.
        if not rotated and needs_warp(self.angles):
            inputs = rotated_copies(inputs, self.angles)  # (N*K, C, H, W)
            rotated = True
        batch = super().forward({'inputs': inputs, 'data_samples': samples}, training)
        if self.channels_last:
            batch['inputs'] = batch['inputs'].contiguous(memory_format=torch.channels_last)
        if not rotated:
            batch['inputs'] = rotated_copies(batch['inputs'], self.angles)  # (N*K, C, H, W)
        return batch

    def _stack(self, inputs: Tensor | Sequence) -> tuple[Tensor, bool]:
        """Make one tensor of what the collate functions give.

        Returns:
            tuple[Tensor, bool]: (N, C, H, W) and False, or, from a pipeline that
            rotated, (N·K, C, H, W) and True.
        """
        if isinstance(inputs, Tensor):
            return inputs, False
        if isinstance(inputs[0], Tensor) and inputs[0].ndim == 3:
            shapes = sorted({tuple(image.shape) for image in inputs})
            if len(shapes) > 1:
                raise UserError(f'images of shapes {shapes}: expected one shape in a batch')
            return torch.stack(list(inputs)), False
        views = [view if isinstance(view, Tensor) else torch.stack(list(view)) for view in inputs]
        copies = torch.stack(views, dim=1)  # (N, K, C, H, W)
        if copies.shape[1] != len(self.angles):
            raise UserError(
                f'the pipeline made {copies.shape[1]} copies of each image: expected '
                f'{len(self.angles)} for angles {self.angles}'
            )
        return copies.flatten(0, 1), True
