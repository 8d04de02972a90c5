import numpy as np
from mmengine.dataset import BaseDataset
from torch.utils.data import Dataset

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
        epoch_length (int, optional): Samples in an epoch. Defaults to the size
            of the subset.

    Raises:
        ValueError: If K is below 1 or a class has fewer images; names it.
    """

    def __init__(
        self,
        dataset: dict | BaseDataset,
        num_per_class: int,
        seed: int | None = None,
        epoch_length: int | None = None,
    ) -> None:
        if num_per_class < 1:
            raise ValueError(f'num_per_class={num_per_class}: expected 1 or more')
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self.dataset.full_init()
        self.metainfo = self.dataset.metainfo
        labels = np.array(
            [int(self.dataset.get_data_info(i)['gt_label']) for i in range(len(self.dataset))]
        )
        rng = None if seed is None else np.random.default_rng(seed)
        chosen = []
        for label in np.unique(labels):
            indices = np.flatnonzero(labels == label)
            if len(indices) < num_per_class:
                raise ValueError(
                    f'num_per_class={num_per_class}: class {label} has {len(indices)} images'
                )
            if rng is not None:
                indices = rng.permutation(indices)
            chosen.append(np.sort(indices[:num_per_class]))
        self.indices = np.concatenate(chosen)
        self.epoch_length = epoch_length or len(self.indices)

    def __len__(self) -> int:
        return self.epoch_length

    def __getitem__(self, index: int) -> dict:
        return self.dataset[int(self.indices[index % len(self.indices)])]

    def get_data_info(self, index: int) -> dict:
        """Give the annotation of a sample, without running the pipeline."""
        return self.dataset.get_data_info(int(self.indices[index % len(self.indices)]))
