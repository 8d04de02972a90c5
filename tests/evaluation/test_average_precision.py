import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from mmrot.errors import UserError
from mmrot.evaluation.average_precision import (
    average_precision_area,
    average_precision_interpolated,
)

SCORES = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
# precision 1/1, 1/2, 1/3, 2/4, 3/5 at recall 1/3, 1/3, 1/3, 2/3, 1
TRUTH = np.array([1, 0, 0, 1, 1])


def test_area_of_a_hand_worked_ranking():
    assert average_precision_area(SCORES, TRUTH) == pytest.approx((1 + 2 / 4 + 3 / 5) / 3)


def test_interpolation_uses_the_best_precision_at_a_higher_recall():
    expected = (1 + 3 / 5 + 3 / 5) / 3
    assert average_precision_interpolated(SCORES, TRUTH) == pytest.approx(expected)


def test_equal_scores_count_as_one_step():
    truth = np.array([1, 0, 1, 0])
    for function in (average_precision_area, average_precision_interpolated):
        assert function(np.zeros(4), truth) == pytest.approx(0.5)


def test_area_equals_scikit_learn_and_interpolation_is_never_lower():
    rng = np.random.default_rng(0)
    for _ in range(20):
        scores, truth = rng.integers(0, 20, 50), rng.integers(0, 2, 50)
        area = average_precision_area(scores, truth)
        assert area == pytest.approx(average_precision_score(truth, scores))
        assert average_precision_interpolated(scores, truth) >= area - 1e-12


def test_no_positives_is_an_error():
    for function in (average_precision_area, average_precision_interpolated):
        with pytest.raises(UserError, match='at least one positive'):
            function(SCORES, np.zeros(5))
