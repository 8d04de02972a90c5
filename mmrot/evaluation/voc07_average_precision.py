from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from sklearn.metrics import precision_recall_curve

from mmrot.errors import UserError
from mmrot.registry import METRICS


def average_precision_11_points(scores: np.ndarray, truth: np.ndarray) -> float:
    """Average the best precision at recalls of at least 0, 0.1, ..., 1.

    Everingham et al., *The Pascal Visual Object Classes (VOC) Challenge*, IJCV
    2010, section 4.2: how VOC 2007 was measured.

    Args:
        scores (np.ndarray): (N,), higher is more likely.
        truth (np.ndarray): (N,), 1 for what has the class, 0 for what has not.

    Returns:
        float: Between 0 and 1.

    Raises:
        UserError: If nothing has the class.
    """
    if not truth.any():
        raise UserError('average precision of a class that nothing has')
    precision, recall, _ = precision_recall_curve(truth, scores)
    precision, recall = precision[:-1], recall[:-1]  # the last is no measurement
    points = np.linspace(0, 1, 11)
    return float(np.mean([precision[recall >= point - 1e-9].max() for point in points]))


@METRICS.register_module()
class VOC07AveragePrecision(BaseMetric):
    """Mean average precision of classes by VOC 2007's 11 points, in percent.

    For images with any number of labels. Classes that are only on difficult
    objects of an image are not counted for it, and classes that no image has are
    left out of the mean.

    Args:
        collect_device (str): Where ranks gather results, ``'cpu'`` or ``'gpu'``.
    """

    default_prefix = 'voc07'

    def __init__(self, collect_device: str = 'cpu') -> None:
        super().__init__(collect_device)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Note the scores and the truth of each image.

        Args:
            data_batch (Any): Not used.
            data_samples (Sequence[dict]): One per image, with ``pred_score``
                (C,), ``gt_label`` (L,) and, of VOC, ``gt_label_difficult``, a list.
        """
        for sample in data_samples:
            scores = sample['pred_score'].cpu()
            truth = torch.zeros(len(scores), dtype=torch.int8)
            truth[list(sample.get('gt_label_difficult') or [])] = -1
            truth[sample['gt_label'].cpu()] = 1
            self.results.append((scores.numpy(), truth.numpy()))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Average over the classes.

        Args:
            results (list): For each image its scores and its truth, (C,) each, -1
                where the class is not counted.

        Returns:
            dict[str, float]: ``mAP`` in percent.
        """
        scores, truth = (np.stack(values, axis=1) for values in zip(*results, strict=True))
        found = [
            average_precision_11_points(score[label >= 0], label[label >= 0])
            for score, label in zip(scores, truth, strict=True)  # (N,) of a class
            if (label == 1).any()
        ]
        return {'mAP': 100 * float(np.mean(found))}
