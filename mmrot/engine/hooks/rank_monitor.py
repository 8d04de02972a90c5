from typing import Any

from mmengine.config import Config
from torch.utils.data import Dataset

from mmrot.engine.evaluation_data import build_unwrapped
from mmrot.evaluation.features import Features
from mmrot.evaluation.rank_me import rank_me
from mmrot.registry import HOOKS

from .feature_monitor import FeatureMonitor


@HOOKS.register_module()
class RankMonitor(FeatureMonitor):
    """Measure the effective rank of the backbone's features during training, without labels.

    Logs ``rank/<stage>``, see :func:`mmrot.evaluation.rank_me.rank_me`. It is at most the number
    of images and of channels, and compares checkpoints of the same stage on the same images
    only. How and when features are extracted: :class:`FeatureMonitor`.

    Args:
        dataset: Config of the dataset. Defaults to the training data of the config, with the
            test pipeline.
        stages: Outputs or modules of the backbone. Defaults to what it returns.
        interval: Number of epochs, or iterations, between measurements. Defaults to that of
            the validation.
        num_images: Upper bound on the images, which are evenly spaced in the dataset; the
            paper uses 25,600.
        batch_size: Images per batch and process.
        num_workers: Number of processes that load images.
    """

    name = 'rank'

    def __init__(
        self, dataset: dict[str, Any] | None = None, num_images: int = 4096, **kwargs: Any
    ) -> None:
        super().__init__(num_images=num_images, **kwargs)
        self.dataset = dataset

    def build_datasets(self, cfg: Config) -> dict[str, Dataset]:
        """Build the dataset."""
        return {'images': build_unwrapped(cfg, 'train', self.dataset)}

    def evaluate(self, features: dict[str, Features]) -> dict[str, float]:
        """Compute the effective rank of each stage."""
        return {stage: rank_me(x) for stage, x in features['images'].stages.items()}
