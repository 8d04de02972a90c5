"""Average precision as the area under the curve of precision over recall.

The 11-point average precision of VOC 2007 is in
:mod:`mmrot.evaluation.voc07_average_precision`.
"""

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve

from mmrot.errors import UserError


def average_precision_area(scores: np.ndarray, labels: np.ndarray) -> float:
    """Compute the average precision without interpolation, as in scikit-learn.

    Args:
        scores: (N,), higher is more likely.
        labels: (N,), 1 for positives, 0 for negatives.

    Returns:
        Average precision from 0 to 1.

    Raises:
        UserError: If there are no positives.
    """
    _check_positives(labels)
    return float(average_precision_score(labels, scores))


def average_precision_interpolated(scores: np.ndarray, labels: np.ndarray) -> float:
    """Compute the area under the interpolated curve, VOC's measure since 2010.

    The precision at a recall is the highest one at that recall or above, so the
    result is at least :func:`average_precision_area`. The published SVM results of
    the ResNet-50 page use it.

    Args:
        scores: (N,), higher is more likely.
        labels: (N,), 1 for positives, 0 for negatives.

    Returns:
        Average precision from 0 to 1.

    Raises:
        UserError: If there are no positives.
    """
    _check_positives(labels)
    precision, recall, _ = precision_recall_curve(labels, scores)  # recall descends to 0
    best = np.maximum.accumulate(precision[:-1])
    return float(-np.diff(recall) @ best)


def _check_positives(labels: np.ndarray) -> None:
    if not np.any(labels):
        raise UserError('Average precision needs at least one positive.')
