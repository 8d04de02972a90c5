import torch
from mmpretrain.models import ImageClassifier
from mmpretrain.structures import DataSample
from torch import Tensor
from torchvision.transforms.functional import ten_crop

from mmrot.registry import MODELS


@MODELS.register_module()
class TenCropClassifier(ImageClassifier):
    """mmpretrain's ``ImageClassifier`` with 10-crop testing.

    At test time the scores before softmax or sigmoid are averaged over the four
    corner crops, the centre crop and their mirror images. This follows the
    protocol of Krähenbühl et al., *Data-dependent Initializations of
    Convolutional Neural Networks*, ICLR 2016, for VOC 2007 classification, except
    that their code uses 10 random crops.

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
            inputs: (N, 3, H, W), at least the size of a crop.
            data_samples: N samples, one per image; new ones by default.
            **kwargs: Not used.

        Returns:
            N samples with ``pred_score`` (C,) and ``pred_label``.

        Raises:
            ValueError: If the images are smaller than a crop.
        """
        crops = ten_crop(inputs, self.crop_size)
        scores = [self.head(self.extract_feat(crop)) for crop in crops]  # 10 × (N, C)
        return self.head._get_predictions(torch.stack(scores).mean(0), data_samples)
