from mmpretrain.models import ImageClassifier
from mmpretrain.structures import DataSample
from torch import Tensor

from mmrot.errors import UserError
from mmrot.registry import MODELS


@MODELS.register_module()
class TenCropClassifier(ImageClassifier):
    """mmpretrain's ``ImageClassifier`` with 10-crop testing.

    At test time the scores before softmax or sigmoid are averaged over the crops
    that :class:`mmrot.StackedCrops` stacks. With 10 random crops, this is the
    protocol of Krähenbühl et al., *Data-dependent Initializations of Convolutional
    Neural Networks*, ICLR 2016, for VOC 2007 classification.

    Args:
        crop_size: Side of a crop in pixels.
        **kwargs: Arguments of mmpretrain's ``ImageClassifier``.
    """

    def __init__(self, crop_size: int = 224, **kwargs) -> None:
        super().__init__(**kwargs)
        self.crop_size = crop_size

    def predict(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None, **kwargs
    ) -> list[DataSample]:
        """Predict the classes of images.

        Args:
            inputs: (N, 3, K·S, S), K crops of S×S below one another.
            data_samples: N samples, one per image; new ones by default.
            **kwargs: Not used.

        Returns:
            N samples with ``pred_score`` (C,) and ``pred_label``.

        Raises:
            UserError: If the images are not stacked crops.
        """
        n, _, height, width = inputs.shape
        if width != self.crop_size or height % width:
            raise UserError(
                f'images of shape {tuple(inputs.shape)} are not crops of '
                f'{self.crop_size}x{self.crop_size} below one another. Use mmrot.StackedCrops.'
            )
        crops = inputs.unflatten(2, (-1, width)).transpose(1, 2)  # (N, K, 3, S, S)
        scores = self.head(self.extract_feat(crops.flatten(0, 1)))  # (N*K, C)
        return self.head._get_predictions(scores.unflatten(0, (n, -1)).mean(1), data_samples)
