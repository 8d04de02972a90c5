import numpy as np
import pytest
import torch

from mmrot.evaluation import VOC07AveragePrecision
from mmrot.evaluation.voc07_average_precision import average_precision_11_points


def test_average_precision_of_ranked_lists():
    # ranked: hit, miss, hit, miss, so precision 1 at recall 1/2 and 2/3 at recall 1
    scores, labels = np.array([0.9, 0.8, 0.7, 0.1]), np.array([1, 0, 1, 0])
    # recalls 0 to 0.5 are six of the points
    assert average_precision_11_points(scores, labels) == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)
    # ranked: miss, hit
    assert average_precision_11_points(-scores[:2], labels[:2]) == pytest.approx(1 / 2)
    # the best precision to the right counts: miss, hit, hit is 2/3 everywhere
    ranked = np.array([0.9, 0.8, 0.7])
    assert average_precision_11_points(ranked, np.array([0, 1, 1])) == pytest.approx(2 / 3)


def test_average_precision_includes_recalls_of_exact_tenths():
    """3 of 10 positives reach the point 0.3 despite floating-point error."""
    scores, labels = -np.arange(10.0), np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 0])
    labels = np.concatenate([labels, np.ones(7, int)])
    scores = np.concatenate([scores, -np.arange(100.0, 107.0)])
    # precision 1 up to recall 0.3, then at best 10/17 at the end
    expected = (4 * 1 + 7 * 10 / 17) / 11
    assert average_precision_11_points(scores, labels) == pytest.approx(expected)


def sample(scores: list[float], labels: list[int], difficult: list[int] | None = None) -> dict:
    found = {
        'pred_score': torch.tensor(scores),
        'gt_label': torch.tensor(labels, dtype=torch.long),
    }
    return found if difficult is None else {**found, 'gt_label_difficult': difficult}


def test_voc07_ignores_difficult_and_absent_classes():
    metric = VOC07AveragePrecision()
    metric.process(
        None,
        [
            sample([0.9, 0.2, 0.1], [0], []),
            # best score of class 0, but only on a difficult object: ignored
            sample([0.99, 0.8, 0.3], [1], [0]),
            # difficult and other objects: counted
            sample([0.95, 0.9, 0.2], [0], [0]),
        ],
    )
    # class 0: two hits, 1; class 1: a miss before the hit, 1/2; class 2: absent
    assert metric.evaluate(3) == pytest.approx({'voc07/mAP': 75, 'voc07/mAP_area': 75})


def test_voc07_reports_area_and_11_points():
    """Hit, miss, hit: the area is (1 + 2/3) / 2, the 11 points are 6 times 1 and 5 times 2/3."""
    metric = VOC07AveragePrecision()
    scores = ([0.9], [0]), ([0.8], []), ([0.7], [0])
    metric.process(None, [sample(score, labels) for score, labels in scores])
    found = metric.evaluate(3)
    assert found['voc07/mAP_area'] == pytest.approx(100 * 5 / 6)
    assert found['voc07/mAP'] == pytest.approx(100 * (6 + 5 * 2 / 3) / 11)


def test_voc07_accepts_one_label_per_image():
    metric = VOC07AveragePrecision()
    metric.process(None, [sample([0.9, 0.1], [0]), sample([0.2, 0.8], [1])])
    assert metric.evaluate(2) == pytest.approx({'voc07/mAP': 100, 'voc07/mAP_area': 100})


def test_average_precision_without_positives_is_an_error():
    with pytest.raises(ValueError, match='without positives'):
        average_precision_11_points(np.array([0.5]), np.array([0]))
