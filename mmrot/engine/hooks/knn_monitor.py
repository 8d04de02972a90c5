from typing import Any

from mmengine.device import get_device

from mmrot.evaluation.features import Features
from mmrot.evaluation.knn import knn_accuracy
from mmrot.registry import HOOKS

from .labelled_monitor import LabelledMonitor


@HOOKS.register_module()
class KNNMonitor(LabelledMonitor):
    """Measure the kNN accuracy of the backbone's features during training.

    Logs ``knn/accuracy_<stage>``, in percent, see :func:`mmrot.evaluation.knn.knn_accuracy`. How
    and when features are extracted: :class:`FeatureMonitor`.

    Args:
        train_dataset: Config of the labelled dataset in which neighbours are searched.
            Defaults to the training data of the config, with the test pipeline.
        test_dataset: Config of the dataset that is classified. Defaults to the test data of
            the config.
        k: Number of neighbours.
        temperature: Temperature of the votes. None gives every neighbour one vote.
        stages: Outputs or modules of the backbone. Defaults to what it returns.
        interval: Number of epochs, or iterations, between measurements. Defaults to that of
            the validation.
        num_images: Upper bound on the images per dataset, which are evenly spaced in it.
        batch_size: Images per batch and process.
        num_workers: Number of processes that load images.

    Raises:
        UserError: Before training, if a dataset has no labels or fewer than ``k`` images.
    """

    name = 'knn'

    def __init__(self, k: int = 20, temperature: float | None = 0.07, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.k = k
        self.temperature = temperature

    def evaluate(self, features: dict[str, Features]) -> dict[str, float]:
        """Compute the accuracy of each stage in percent."""
        train, test = features['train'], features['test']
        accuracies = {}
        for stage, bank in train.stages.items():
            found = knn_accuracy(
                *(test.stages[stage], test.labels, bank, train.labels, [self.k]),
                self.temperature,
                get_device(),
            )
            accuracies[f'accuracy_{stage}'] = found[self.k]
        return accuracies
