import pytest
import torch

from mmrot.evaluation import RotationAccuracy


def sample(predicted: list[int], angles: tuple[int, ...]) -> dict:
    """One image whose k-th copy is predicted as class ``predicted[k]``."""
    k = len(angles)
    return dict(rotation_score=torch.eye(k)[predicted], angles=angles)


def test_rotation_accuracy_averages_over_copies_and_angles():
    metric = RotationAccuracy()
    angles = (0, 90, 180, 270)
    metric.process(None, [sample([0, 1, 2, 3], angles), sample([0, 0, 0, 0], angles)])
    metric.process(None, [sample([1, 1, 2, 0], angles)])
    assert metric.evaluate(3) == pytest.approx(
        {
            'rotation/accuracy': 100 * 7 / 12,
            'rotation/accuracy_0': 100 * 2 / 3,
            'rotation/accuracy_90': 100 * 2 / 3,
            'rotation/accuracy_180': 100 * 2 / 3,
            'rotation/accuracy_270': 100 * 1 / 3,
        }
    )


def test_rotation_accuracy_names_follow_the_angle_set():
    metric = RotationAccuracy()
    metric.process(None, [sample([0, 0], (90, 270))])
    assert metric.evaluate(1) == {
        'rotation/accuracy': 50.0,
        'rotation/accuracy_90': 100.0,
        'rotation/accuracy_270': 0.0,
    }


def test_rotation_accuracy_drops_repeated_images():
    """Images that a distributed sampler repeats to fill the last batch do not count."""
    metric = RotationAccuracy()
    metric.process(None, [sample([0, 1], (0, 180))] * 3 + [sample([1, 0], (0, 180))])
    assert metric.evaluate(3)['rotation/accuracy'] == 100.0
