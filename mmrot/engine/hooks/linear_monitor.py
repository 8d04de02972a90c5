import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mmrot.errors import UserError
from mmrot.evaluation.features import Features
from mmrot.registry import HOOKS

from .labelled_monitor import LabelledMonitor

# Strength of the L2 regularisation relative to the mean loss of an image, for any number of them.
_REGULARISATION = 0.002


@HOOKS.register_module()
class LinearMonitor(LabelledMonitor):
    """Measure the accuracy of linear classifiers on the backbone's features during training.

    Each measurement fits a logistic regression to the standardised features of every stage, in at
    most 100 iterations of L-BFGS from zero, with an L2 penalty of ‖w‖²/1000 beside the mean loss.
    So a value depends on the network at that moment alone, and no gradient reaches the network.
    Logs ``linear/accuracy_<stage>``, in percent. How and when features are extracted:
    :class:`FeatureMonitor`.

    Args:
        train_dataset: Config of the labelled dataset to which classifiers are fitted. Defaults
            to the training data of the config, with the test pipeline.
        test_dataset: Config of the dataset that is classified. Defaults to the test data of
            the config.
        stages: Outputs or modules of the backbone. Defaults to what it returns.
        interval: Number of epochs, or iterations, between measurements. Defaults to that of
            the validation.
        num_images: Upper bound on the images per dataset, which are evenly spaced in it.
        batch_size: Images per batch and process.
        num_workers: Number of processes that load images.

    Raises:
        UserError: Before training, if a dataset has no labels or only one class.
    """

    name = 'linear'

    def evaluate(self, features: dict[str, Features]) -> dict[str, float]:
        """Compute the accuracy of each stage in percent."""
        train, test = features['train'], features['test']
        if len(np.unique(train.labels)) < 2:
            raise UserError('LinearMonitor needs training images of at least 2 classes.')
        accuracies = {}
        for stage, vectors in train.stages.items():
            classifier = LogisticRegression(C=1 / (_REGULARISATION * len(vectors)), max_iter=100)
            probe = make_pipeline(StandardScaler(), classifier)
            with warnings.catch_warnings():
                warnings.simplefilter('ignore', ConvergenceWarning)
                probe.fit(vectors, train.labels)
            accuracies[f'accuracy_{stage}'] = 100 * probe.score(test.stages[stage], test.labels)
        return accuracies
