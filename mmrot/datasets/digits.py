import cv2
import numpy as np
from mmpretrain.datasets import BaseDataset
from sklearn.datasets import load_digits

from mmrot.errors import UserError
from mmrot.registry import DATASETS


@DATASETS.register_module()
class Digits(BaseDataset):
    """scikit-learn's 1,797 scanned digits, which need no download.

    `Optical Recognition of Handwritten Digits
    <https://archive.ics.uci.edu/dataset/80>`_: 8×8 pixels of 17 grey levels,
    enlarged bilinearly and repeated in three channels.

    Args:
        split: ``'test'`` for every ``hold_out``-th digit, ``'train'`` for the
            others.
        size: Side of the enlarged images in pixels, at least 8.
        hold_out: Distance of the test digits, at least 2. The default makes 300
            test and 1,497 training digits.
        **kwargs: ``pipeline`` and other arguments of mmpretrain's
            ``BaseDataset``.

    Raises:
        UserError: If the split is unknown, or ``size`` or ``hold_out`` is too small.

    Example:
        >>> from mmrot.datasets import Digits
        >>> len(Digits('test'))
        300
    """

    METAINFO = dict(classes=tuple('0123456789'))

    def __init__(self, split: str = 'train', size: int = 16, hold_out: int = 6, **kwargs) -> None:
        if split not in ('train', 'test'):
            raise UserError(f"split={split!r} is not 'train' or 'test'.")
        if size < 8:
            raise UserError(f'size={size} is below 8.')
        if hold_out < 2:
            raise UserError(f'hold_out={hold_out} is below 2.')
        self.split = split
        self.size = size
        self.hold_out = hold_out
        super().__init__(ann_file='', **kwargs)

    def load_data_list(self) -> list[dict]:
        """Return ``img`` (size, size, 3) uint8 and ``gt_label`` of each digit."""
        digits = load_digits()
        data = []
        for index, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
            if (index % self.hold_out == 0) != (self.split == 'test'):
                continue
            gray = np.round(image * (255 / 16)).astype(np.uint8)  # (8, 8)
            gray = cv2.resize(gray, (self.size, self.size), interpolation=cv2.INTER_LINEAR)
            data.append(dict(img=np.repeat(gray[..., None], 3, axis=2), gt_label=int(label)))
        return data
