from collections.abc import Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric

from mmrot.registry import METRICS


@METRICS.register_module()
class RotationAccuracy(BaseMetric):
    """Accuracy of rotation prediction, over all copies and for each rotation.

    There is one result for each image, not for each copy: mmengine cuts the
    gathered results to the length of the dataset, which drops exactly the
    images that the distributed sampler had to repeat.

    Reports, in percent, ``rotation/accuracy`` and, for each angle A of the
    model's set, ``rotation/accuracy_A``.
    """

    default_prefix = 'rotation'

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Note which copies of each image were recognised.

        Args:
            data_batch (Any): Not used.
            data_samples (Sequence[dict]): One per image, with
                ``rotation_score`` (K, K) and ``angles`` from
                :meth:`mmrot.RotationPred.predict`.
        """
        for sample in data_samples:
            score = sample['rotation_score']  # (K, K)
            correct = score.argmax(1).cpu() == torch.arange(len(score))  # (K,)
            self.results.append((sample['angles'], correct))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Average over the images.

        Args:
            results (list): One pair (angles, correct (K,)) per image.

        Returns:
            dict[str, float]: Accuracies in percent.
        """
        angles = results[0][0]
        correct = torch.stack([row for _, row in results]).double()  # (N, K)
        metrics = {'accuracy': correct.mean().item() * 100}
        for angle, accuracy in zip(angles, correct.mean(0).tolist(), strict=True):
            metrics[f'accuracy_{angle}'] = accuracy * 100
        return metrics
