from collections.abc import Sequence

import torch
from mmpretrain.models import BaseSelfSupervisor
from mmpretrain.structures import DataSample
from torch import Tensor

from mmrot.errors import UserError
from mmrot.registry import MODELS
from mmrot.rotation import QUARTER_TURNS, check_angles, rotation_labels


@MODELS.register_module()
class RotationPred(BaseSelfSupervisor):
    """RotNet: self-supervised learning by predicting image rotations.

    `Unsupervised Representation Learning by Predicting Image Rotations
    <https://arxiv.org/abs/1803.07728>`_, Section 2.1: the loss of an image is
    the cross entropy averaged over all its rotated copies, which are in the
    same batch.

    Args:
        backbone: Config of any backbone of mmrot, mmpretrain, mmdet or mmseg that
            returns a tuple of maps or vectors.
        head: Config of a :class:`mmrot.RotationHead`, without ``num_classes``.
        data_preprocessor: Arguments of :class:`mmrot.RotationDataPreprocessor`,
            such as ``mean``, without ``angles`` and ``channels_last``.
        angles: Angle set in degrees counter-clockwise, passed on to the head and the
            data preprocessor.
        channels_last: Whether weights and batches are in channels-last memory
            format.
        crop_upright: Whether an angle set with diagonals crops all copies, so that
            scale and sharpness do not give the label away. False crops the diagonal
            ones only, the literal reading of Section 3.1.
        init_cfg: Initialisation of the whole model.

    Raises:
        UserError: If the angle set is invalid, or the head or the data preprocessor
            sets an argument that is derived from the model.

    Example:
        >>> import torch
        >>> from mmrot.models import RotationPred
        >>> model = RotationPred(
        ...     backbone=dict(type='mmrot.NIN', num_blocks=3, width=12),
        ...     head=dict(type='mmrot.RotationHead', in_channels=12),
        ... )
        >>> batch = model.data_preprocessor(dict(inputs=torch.rand(2, 3, 32, 32)))
        >>> sorted(model(**batch, mode='loss'))
        ['accuracy', 'loss']
    """

    def __init__(
        self,
        backbone: dict,
        head: dict,
        data_preprocessor: dict | None = None,
        angles: Sequence[int] = QUARTER_TURNS,
        channels_last: bool = False,
        crop_upright: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        angles = check_angles(angles)
        data_preprocessor = {
            'type': 'mmrot.RotationDataPreprocessor',
            **(data_preprocessor or {}),
        }
        for name, part in (('head', head), ('data_preprocessor', data_preprocessor)):
            for key in {'num_classes', 'angles', 'channels_last', 'crop_upright'} & part.keys():
                raise UserError(
                    f'{name}.{key}={part[key]} must not be set: it is derived from angles, '
                    'channels_last and crop_upright of the model.'
                )
        super().__init__(
            backbone=backbone,
            head={**head, 'num_classes': len(angles)},
            data_preprocessor={
                **data_preprocessor,
                'angles': angles,
                'channels_last': channels_last,
                'crop_upright': crop_upright,
            },
            init_cfg=init_cfg,
        )
        self.angles = angles
        if channels_last:
            self.to(memory_format=torch.channels_last)

    @property
    def _metainfo(self) -> None:
        # Read by mmpretrain's inference_model only, which has no inferencer for this task.
        raise UserError(
            'mmpretrain.inference_model does not predict rotations. Call '
            'mmrot.RotationInferencer(model)(photos).'
        )

    @_metainfo.setter
    def _metainfo(self, value: object) -> None:
        """Ignore the value that mmpretrain's get_model sets."""

    def forward(
        self,
        inputs: Tensor,
        data_samples: list[DataSample] | None = None,
        mode: str = 'tensor',
    ) -> tuple[Tensor, ...] | dict[str, Tensor] | list[DataSample]:
        """Run the model on rotated copies.

        Args:
            inputs: (N·K, C, H, W) from the data preprocessor.
            data_samples: N samples, one per image.
            mode: ``'tensor'``, ``'loss'`` or ``'predict'``.

        Returns:
            The backbone's tuple of features, the losses, or the data samples with
            predictions, depending on ``mode``.
        """
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        return super().forward(inputs, data_samples, mode)

    def loss(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None
    ) -> dict[str, Tensor]:
        """Compute the loss and the accuracy over the N·K copies.

        Args:
            inputs: (N·K, C, H, W).
            data_samples: Not used; the task needs no annotation.

        Returns:
            ``loss``, and ``accuracy`` in percent.
        """
        k = len(self.angles)
        labels = rotation_labels(len(inputs) // k, k, inputs.device)  # (N*K,)
        return self.head.loss(self.extract_feat(inputs), labels)

    def predict(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Predict the rotation of every copy.

        Args:
            inputs: (N·K, C, H, W).
            data_samples: N samples, one per image; new ones by default.

        Returns:
            N samples with ``rotation_score`` (K, K), whose row k holds the
            probabilities of the K angles for the copy rotated by angle k, and
            ``angles``, the angle set.
        """
        k = len(self.angles)
        scores = self.head(self.extract_feat(inputs)).float().softmax(1)  # (N*K, K)
        scores = scores.unflatten(0, (-1, k))  # (N, K, K)
        if data_samples is None:
            data_samples = [DataSample() for _ in scores]
        for sample, score in zip(data_samples, scores, strict=True):
            sample.set_field(score, 'rotation_score')
            sample.set_field(self.angles, 'angles', field_type='metainfo')
        return data_samples

    def predict_rotation(self, images: Tensor) -> Tensor:
        """Predict the rotation angle of images.

        Args:
            images: (N, C, H, W), not normalised, as from the test pipeline.

        Returns:
            Probabilities (N, K), float32.

        Raises:
            UserError: If the angle set has a diagonal and the images are not square.
        """
        inputs = self.data_preprocessor.upright_copies(images)
        return self.head(self.extract_feat(inputs)).float().softmax(1)  # (N, K)
