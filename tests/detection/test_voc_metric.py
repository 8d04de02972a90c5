import numpy as np
import pytest

pytest.importorskip('mmdet')
from mmrot.detection import VOCMetric

EMPTY = np.zeros((0, 4), np.float32)


def image(boxes, labels, *detections):
    """What the metric keeps of an image: truth, and detections of three classes."""
    truth = dict(
        bboxes=np.array(boxes, np.float32).reshape(-1, 4),
        labels=np.array(labels, int),
        bboxes_ignore=EMPTY,
        labels_ignore=np.zeros(0, int),
    )
    return truth, [np.array(d, np.float32).reshape(-1, 5) for d in detections]


def test_eleven_points_by_hand():
    """Precision at recalls 0, 0.1, ..., 1, the best of those further right."""
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
    assert 'AP50/cow' not in metrics  # there is none to find
    assert metrics['AP50'] == metrics['mAP'] == pytest.approx((0.5 + 6 / 11) / 2)


def test_other_metrics_are_refused():
    with pytest.raises(ValueError, match="metric='recall'"):
        VOCMetric(metric='recall')
