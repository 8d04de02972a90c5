import torch
from mmpretrain.models import ImageClassifier
from mmpretrain.structures import DataSample
from torch import Tensor
from torchvision.transforms.functional import ten_crop

from mmrot.registry import MODELS


@MODELS.register_module()
class TenCropClassifier(ImageClassifier):
    """mmpretrain's classifier, which is tested on the mean of 10 crops.

    The four corners and the middle of the image, and their mirror images; the
    scores before softmax or sigmoid are averaged. It is trained as usual. The
    protocol of Krähenbühl et al., *Data-dependent Initializations of
    Convolutional Neural Networks*, ICLR 2016, for VOC 2007 classification, whose
    code takes 10 random crops.

    Args:
        crop_size (int): Side of a crop in pixels.
        **kwargs: The arguments of mmpretrain's ``ImageClassifier``.
    """

    def __init__(self, crop_size: int = 224, **kwargs) -> None:
        super().__init__(**kwargs)
        self.crop_size = crop_size

    def predict(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None, **kwargs
    ) -> list[DataSample]:
        """Predict the classes of images.

        Args:
            inputs (Tensor): (N, 3, H, W), at least the size of a crop.
            data_samples (list[DataSample], optional): One per image.
            **kwargs: Not used.

        Returns:
            list[DataSample]: With ``pred_score`` (C,) and ``pred_label``.

        Raises:
            UserError: If the images are smaller than a crop.
        """
        crops = ten_crop(inputs, self.crop_size)
        scores = [self.head(self.extract_feat(crop)) for crop in crops]  # 10 × (N, C)
        return self.head._get_predictions(torch.stack(scores).mean(0), data_samples)
