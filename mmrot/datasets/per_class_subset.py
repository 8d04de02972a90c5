from collections.abc import Mapping

import numpy as np
from mmengine.dataset import BaseDataset
from torch.utils.data import Dataset

from mmrot.errors import UserError
from mmrot.registry import DATASETS


def draw_per_class(
    labels: np.ndarray,
    num_per_class: int,
    seed: int | None = None,
    names: Mapping[int, str] | None = None,
) -> np.ndarray:
    """Return the indices of K images of each class.

    Args:
        labels: Class indices (N,).
        num_per_class: Number K of images per class.
        seed: Random seed of the draw; the first K images by default.
        names: Names of the classes for the error message, by default the indices.

    Returns:
        (C, K), one row per class, in the order of the draw.

    Raises:
        UserError: If K is not a positive integer or a class has fewer images.

    Example:
        >>> draw_per_class(np.array([1, 0, 1, 0, 1]), 2)
        array([[1, 3],
               [0, 2]])
    """
    if not isinstance(num_per_class, int) or num_per_class < 1:
        raise UserError(f'num_per_class={num_per_class} is not a positive integer.')
    rng = None if seed is None else np.random.default_rng(seed)
    rows = []
    for label in np.unique(labels):
        indices = np.flatnonzero(labels == label)
        if len(indices) < num_per_class:
            raise UserError(
                f'num_per_class={num_per_class}, but class {(names or {}).get(label, label)} has '
                f'{len(indices)} images.'
            )
        rows.append((indices if rng is None else rng.permutation(indices))[:num_per_class])
    return np.stack(rows)


@DATASETS.register_module()
class PerClassSubset(Dataset):
    """K labelled images of each class, repeated to a given epoch length.

    For the semi-supervised experiments of Figure 5b, where an epoch is 50,000
    samples of the subset for any K. The subset depends only on the dataset and
    the seed, so it is the same in all processes.

    Args:
        dataset: mmengine dataset whose samples have a ``gt_label``, or its config.
        num_per_class: Number K of images per class.
        seed: Random seed of the subset. By default, the first K images of each class
            are used.
        epoch_length: Samples per epoch, at least the size of the subset, which is
            the default. Classes alternate, so that an epoch is balanced.

    Raises:
        UserError: If K is not a positive integer, a class has fewer images, or
            the epoch is shorter than the subset.
    """

    def __init__(
        self,
        dataset: dict | BaseDataset,
        num_per_class: int,
        seed: int | None = None,
        epoch_length: int | None = None,
    ) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self.dataset.full_init()
        self.metainfo = self.dataset.metainfo
        labels = np.array(
            [int(self.dataset.get_data_info(i)['gt_label']) for i in range(len(self.dataset))]
        )
        names = dict(enumerate(self.metainfo.get('classes') or ()))
        chosen = np.sort(draw_per_class(labels, num_per_class, seed, names))  # (C, K)
        self.indices = chosen.T.ravel()  # (K*C,), classes alternate
        self.epoch_length = len(self.indices) if epoch_length is None else epoch_length
        if self.epoch_length < len(self.indices):
            raise UserError(
                f'epoch_length={epoch_length} is less than the {len(self.indices)} images of the '
                'subset.'
            )

    def full_init(self) -> None:
        """Do nothing. mmengine's wrappers call it; the dataset is already loaded."""

    def __len__(self) -> int:
        return self.epoch_length

    def __getitem__(self, index: int) -> dict:
        return self.dataset[self._index(index)]

    def get_data_info(self, index: int) -> dict:
        """Return the annotation of a sample without running the pipeline."""
        return self.dataset.get_data_info(self._index(index))

    def _index(self, index: int) -> int:
        if not 0 <= index < self.epoch_length:
            raise IndexError(f'index {index} is out of range for {self.epoch_length} samples')
        return int(self.indices[index % len(self.indices)])
