from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from sklearn.metrics import precision_recall_curve

from mmrot.errors import UserError
from mmrot.registry import METRICS

from .average_precision import average_precision_area


def average_precision_11_points(scores: np.ndarray, labels: np.ndarray) -> float:
    """Compute the 11-point interpolated average precision of VOC 2007.

    The mean over the recalls r = 0, 0.1, ..., 1 of the highest precision at a
    recall of at least r: Everingham et al., *The Pascal Visual Object Classes
    (VOC) Challenge*, IJCV 2010, Section 4.2.

    Args:
        scores: (N,), higher is more likely.
        labels: (N,), 1 for positives and 0 for negatives.

    Returns:
        Average precision between 0 and 1.

    Raises:
        UserError: If there are no positives.

    Example:
        >>> average_precision_11_points(np.array([0.9, 0.5, 0.1]), np.array([1, 0, 0]))
        1.0
    """
    if not labels.any():
        raise UserError('average precision is undefined without positives.')
    precision, recall, _ = precision_recall_curve(labels, scores)
    precision, recall = precision[:-1], recall[:-1]  # scikit-learn appends (1, 0)
    points = np.linspace(0, 1, 11)
    return float(np.mean([precision[recall >= point - 1e-9].max() for point in points]))


@METRICS.register_module()
class VOC07AveragePrecision(BaseMetric):
    """Multi-label mean average precision of VOC 2007.

    Reports ``voc07/mAP`` with the 11 points of VOC 2007 and ``voc07/mAP_area``, the
    area under the curve, both in percent. An image is ignored for the classes of
    which it contains only difficult objects, and classes without images are excluded
    from the mean.
    """

    default_prefix = 'voc07'

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Record the scores and the labels of each image.

        Args:
            data_batch: Not used.
            data_samples: One per image, with ``pred_score`` (C,), ``gt_label``
                (L,) and optionally ``gt_label_difficult``, a list of classes.
        """
        for sample in data_samples:
            scores = sample['pred_score'].cpu()
            labels = torch.zeros(len(scores), dtype=torch.int8)
            labels[list(sample.get('gt_label_difficult') or [])] = -1
            labels[sample['gt_label'].cpu()] = 1
            self.results.append((scores.numpy(), labels.numpy()))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute the mean average precision over the classes.

        Args:
            results: Scores (C,) and labels (C,) of each image; labels are 1, 0 or,
                where the class is ignored, -1.

        Returns:
            ``mAP`` and ``mAP_area`` in percent.
        """
        scores, labels = (np.stack(values, axis=1) for values in zip(*results, strict=True))
        classes = [
            (score[label >= 0], label[label >= 0])
            for score, label in zip(scores, labels, strict=True)  # (N,) of a class
            if (label == 1).any()
        ]
        measures = {'mAP': average_precision_11_points, 'mAP_area': average_precision_area}
        return {
            name: 100 * float(np.mean([measure(*values) for values in classes]))
            for name, measure in measures.items()
        }
