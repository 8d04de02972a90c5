from collections.abc import Sequence

import torch
from mmpretrain.models import SelfSupDataPreprocessor
from torch import Tensor

from mmrot.errors import UserError
from mmrot.registry import MODELS
from mmrot.rotation import (
    QUARTER_TURNS,
    central_square,
    check_angles,
    needs_warp,
    normalised_copies,
    rotated_copies,
)


@MODELS.register_module()
class RotationDataPreprocessor(SelfSupDataPreprocessor):
    """Normalise N images and make N·K rotated copies on the device.

    Images are rotated after the transfer to the device, so that only one copy of each
    is loaded, collated and transferred. Batches that :class:`mmrot.RotatedCopies`
    rotated in the pipeline are detected and yield bitwise identical copies.

    Args:
        angles: Angle set in degrees counter-clockwise.
            :class:`mmrot.RotationPred` passes its own.
        channels_last: Whether to return the copies in channels-last memory
            format. :class:`mmrot.RotationPred` passes its own.
        crop_upright: Whether a set with diagonals crops all copies, see
            :func:`mmrot.rotation.rotated_copies`. :class:`mmrot.RotationPred` passes its
            own.
        **kwargs: ``mean``, ``std``, ``to_rgb`` and other arguments of
            mmpretrain's ``SelfSupDataPreprocessor``.

    Raises:
        UserError: If the angle set is invalid.
    """

    def __init__(
        self,
        angles: Sequence[int] = QUARTER_TURNS,
        channels_last: bool = False,
        crop_upright: bool = True,
        **kwargs,
    ) -> None:
        # a transfer that blocks would wait for the step before
        super().__init__(**{'non_blocking': True, **kwargs})
        self.angles = check_angles(angles)
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.crop_upright = crop_upright

    def forward(self, data: dict, training: bool = False) -> dict:
        """Normalise and rotate a collated batch.

        Args:
            data: ``inputs``: (N, C, H, W) from ``default_collate`` or N tensors
                (C, H, W) from ``pseudo_collate``; after ``RotatedCopies``, K
                tensors (N, C, H, W) or K sequences of N tensors (C, H, W).
                ``data_samples``: N samples, or absent.
            training: Not used; training and testing rotate in the same way.

        Returns:
            ``inputs``: (N·K, C, H, W) float32, image-major; ``data_samples``,
            unchanged, one per image.

        Raises:
            UserError: If the images differ in shape or are not square, or the
                pipeline made a different number of copies.
        """
        inputs, rotated = self._stack(self.cast_data(data['inputs']))
        if self._channel_conversion:
            inputs = inputs[:, [2, 1, 0]]
        # A warp commutes with normalisation only up to rounding, so it comes first, on the
        # raw pixels, as in the pipeline transform.
        if not rotated and needs_warp(self.angles):
            inputs = rotated_copies(inputs, self.angles, self.crop_upright)  # (N*K, C, H, W)
            rotated = True
        if rotated:
            inputs = self._normalise(inputs)
        elif self._enable_normalize:
            inputs = normalised_copies(
                inputs, self.mean, self.std, self.angles, self.memory_format
            )  # (N*K, C, H, W)
        else:
            inputs = rotated_copies(
                inputs.float(), self.angles, memory_format=self.memory_format
            )  # (N*K, C, H, W)
        return {
            'inputs': inputs.contiguous(memory_format=self.memory_format),
            'data_samples': self.cast_data(data.get('data_samples')),
        }

    def _normalise(self, images: Tensor) -> Tensor:
        if not self._enable_normalize:
            return images.float()
        return images.to(torch.float32, copy=True).sub_(self.mean).div_(self.std)

    def upright_copies(self, images: Tensor) -> Tensor:
        """Normalise images like the 0° copies of :meth:`forward`.

        Args:
            images: (N, C, H, W), as in ``inputs`` of :meth:`forward`.

        Returns:
            (N, C, H, W) float32.

        Raises:
            UserError: If the angle set has a diagonal and the images are not square.
        """
        if needs_warp(self.angles):
            if images.shape[-2] != images.shape[-1]:
                raise UserError(f'images of shape {tuple(images.shape)} are not square.')
            if self.crop_upright:
                images = central_square(images, 0)
        images = self.cast_data(images)
        if self._channel_conversion:
            images = images[:, [2, 1, 0]]
        return self._normalise(images).contiguous(memory_format=self.memory_format)

    def _stack(self, inputs: Tensor | Sequence) -> tuple[Tensor, bool]:
        """Stack collated images into one tensor.

        Returns:
            (N, C, H, W) and False or, if the pipeline rotated, (N·K, C, H, W)
            and True.
        """
        if isinstance(inputs, Tensor):
            return inputs, False
        if isinstance(inputs[0], Tensor) and inputs[0].ndim == 3:
            shapes = sorted({tuple(image.shape) for image in inputs})
            if len(shapes) > 1:
                raise UserError(f'images in a batch have different shapes: {shapes}.')
            return torch.stack(list(inputs)), False
        views = [view if isinstance(view, Tensor) else torch.stack(list(view)) for view in inputs]
        copies = torch.stack(views, dim=1)  # (N, K, C, H, W)
        if copies.shape[1] != len(self.angles):
            raise UserError(
                f'the pipeline made {copies.shape[1]} copies of each image, but '
                f'angles={self.angles} has {len(self.angles)} angles.'
            )
        return copies.flatten(0, 1), True
