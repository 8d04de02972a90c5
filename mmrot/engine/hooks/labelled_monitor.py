from typing import Any

import numpy as np
from mmengine.config import Config
from torch.utils.data import Dataset

from mmrot.engine.evaluation_data import build_unwrapped
from mmrot.errors import UserError

from .feature_monitor import FeatureMonitor


class LabelledMonitor(FeatureMonitor):
    """Base class of the monitors that classify a labelled test set by a labelled training set.

    Args:
        train_dataset: Config of the training set. Defaults to the training data of the config,
            with the test pipeline.
        test_dataset: Config of the test set. Defaults to the test data of the config.
        **kwargs: Arguments of :class:`FeatureMonitor`.
    """

    def __init__(
        self,
        train_dataset: dict[str, Any] | None = None,
        test_dataset: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.train_dataset = train_dataset
        self.test_dataset = test_dataset

    def build_datasets(self, cfg: Config) -> dict[str, Dataset]:
        """Build the training and the test set.

        Raises:
            UserError: If a set has no labels, or several per image.
        """
        datasets = {
            'train': build_unwrapped(cfg, 'train', self.train_dataset),
            'test': build_unwrapped(cfg, 'test', self.test_dataset),
        }
        for name, dataset in datasets.items():
            label = dataset.get_data_info(0).get('gt_label')
            if label is None or np.ndim(label):
                raise UserError(
                    f'{type(self).__name__} needs one label per image, but {name} data of type '
                    f'{type(dataset).__name__} have '
                    + ('none' if label is None else 'several')
                    + '. Set train_dataset and test_dataset, or --labelled-folder.'
                )
        return datasets
