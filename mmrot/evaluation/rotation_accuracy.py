from collections.abc import Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric

from mmrot.registry import METRICS


@METRICS.register_module()
class RotationAccuracy(BaseMetric):
    """Accuracy of rotation prediction over all copies and for each rotation.

    Reports, in percent, ``rotation/accuracy`` and, for each angle A of the
    model's set, ``rotation/accuracy_A``.

    One result is stored per image, not per copy: mmengine truncates gathered
    results to the length of the dataset, which then drops exactly the images that
    the distributed sampler repeated.
    """

    default_prefix = 'rotation'

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Record which copies of each image were recognised.

        Args:
            data_batch: Not used.
            data_samples: One per image, with ``rotation_score`` (K, K) and
                ``angles`` from :meth:`mmrot.RotationPred.predict`.
        """
        for sample in data_samples:
            score = sample['rotation_score']  # (K, K)
            correct = score.argmax(1).cpu() == torch.arange(len(score))  # (K,)
            self.results.append((sample['angles'], correct))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute the accuracies over all images.

        Args:
            results: One pair (angles, correct (K,)) per image.

        Returns:
            Accuracies in percent.
        """
        angles = results[0][0]
        correct = torch.stack([row for _, row in results]).double()  # (N, K)
        metrics = {'accuracy': correct.mean().item() * 100}
        for angle, accuracy in zip(angles, correct.mean(0).tolist(), strict=True):
            metrics[f'accuracy_{angle}'] = accuracy * 100
        return metrics
