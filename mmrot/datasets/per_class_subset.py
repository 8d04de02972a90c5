import numpy as np
from mmengine.dataset import BaseDataset
from torch.utils.data import Dataset

from mmrot.errors import UserError
from mmrot.registry import DATASETS


@DATASETS.register_module()
class PerClassSubset(Dataset):
    """K labelled images of each class, repeated to a given epoch length.

    For the semi-supervised runs of figure 5b, where every epoch draws 50,000
    samples with repetition from the subset, whatever K is. The choice depends
    on the data set and the seed alone, so that every process makes the same.

    Args:
        dataset (dict | BaseDataset): Any mmengine data set whose samples have a
            ``gt_label``.
        num_per_class (int): K.
        seed (int, optional): Seed of the choice. None takes the first K.
        epoch_length (int, optional): Samples in an epoch, at least the size of
            the subset, which is the default. The classes take turns, so that
            they share an epoch evenly.

    Raises:
        UserError: If K is not a whole number above 0, a class has fewer images,
            or the epoch is too short; names it.
    """

    def __init__(
        self,
        dataset: dict | BaseDataset,
        num_per_class: int,
        seed: int | None = None,
        epoch_length: int | None = None,
    ) -> None:
        if not isinstance(num_per_class, int) or num_per_class < 1:
            raise UserError(f'num_per_class={num_per_class}: expected a whole number, 1 or more')
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self.dataset.full_init()
        self.metainfo = self.dataset.metainfo
        labels = np.array(
            [int(self.dataset.get_data_info(i)['gt_label']) for i in range(len(self.dataset))]
        )
        names = dict(enumerate(self.metainfo.get('classes') or ()))
        rng = None if seed is None else np.random.default_rng(seed)
        chosen = []
        for label in np.unique(labels):
            indices = np.flatnonzero(labels == label)
            if len(indices) < num_per_class:
                raise UserError(
                    f'num_per_class={num_per_class}: class {names.get(label, label)} has '
                    f'{len(indices)} images'
                )
            if rng is not None:
                indices = rng.permutation(indices)
            chosen.append(np.sort(indices[:num_per_class]))
        self.indices = np.stack(chosen, axis=1).ravel()  # (K*C,), the classes in turn
        self.epoch_length = len(self.indices) if epoch_length is None else epoch_length
        if self.epoch_length < len(self.indices):
            raise UserError(
                f'epoch_length={epoch_length}: expected at least the {len(self.indices)} images '
                'of the subset'
            )

    def full_init(self) -> None:
        """Do nothing; mmengine's wrappers call it. The data set is read already."""

    def __len__(self) -> int:
        return self.epoch_length

    def __getitem__(self, index: int) -> dict:
        return self.dataset[self._index(index)]

    def get_data_info(self, index: int) -> dict:
        """Give the annotation of a sample, without running the pipeline."""
        return self.dataset.get_data_info(self._index(index))

    def _index(self, index: int) -> int:
        if not 0 <= index < self.epoch_length:
            raise IndexError(f'sample {index} of {self.epoch_length}')
        return int(self.indices[index % len(self.indices)])
