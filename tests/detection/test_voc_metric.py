import numpy as np
import pytest

pytest.importorskip('mmdet')
from mmrot.detection import VOCMetric

EMPTY = np.zeros((0, 4), np.float32)


def image(boxes, labels, *detections):
    """Annotations and detections of three classes, as the metric stores them."""
    annotation = dict(
        bboxes=np.array(boxes, np.float32).reshape(-1, 4),
        labels=np.array(labels, int),
        bboxes_ignore=EMPTY,
        labels_ignore=np.zeros(0, int),
    )
    return annotation, [np.array(d, np.float32).reshape(-1, 5) for d in detections]


def test_voc_metric_computes_11_point_precision_per_class():
    """The highest precision at recalls of at least 0, 0.1, ..., 1."""
    metric = VOCMetric(metric='mAP', eval_mode='11points')
    metric.dataset_meta = dict(classes=('cat', 'dog', 'cow'))
    results = [
        # cat: the best detection misses, the second hits; dog: one of two is found
        image(
            [[0, 0, 19, 19], [50, 50, 89, 89]],
            [0, 1],
            [[60, 60, 79, 79, 0.9], [0, 0, 19, 19, 0.8]],
            [[50, 50, 89, 89, 0.7]],
            [],
        ),
        image([[5, 5, 44, 44]], [1], [], [], []),
    ]
    metrics = metric.compute_metrics(results)
    assert metrics['AP50/cat'] == pytest.approx(0.5)  # precision 1/2 at every recall
    assert metrics['AP50/dog'] == pytest.approx(6 / 11)  # 1 up to recall 0.5, then 0
    assert 'AP50/cow' not in metrics  # it has no objects
    assert metrics['AP50'] == metrics['mAP'] == pytest.approx((0.5 + 6 / 11) / 2)


def test_voc_metric_rejects_other_metrics():
    with pytest.raises(ValueError, match="metric='recall'"):
        VOCMetric(metric='recall')
