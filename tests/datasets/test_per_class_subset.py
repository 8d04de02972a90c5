import numpy as np
import pytest
from mmengine.dataset import BaseDataset

from mmrot.datasets import Digits, PerClassSubset


class Listed(BaseDataset):
    """A plain mmengine data set: sample i has id i and a label by hand."""

    LABELS = (2, 0, 1, 0, 2, 1, 0, 0, 1, 2)

    def load_data_list(self):
        return [dict(id=i, gt_label=label) for i, label in enumerate(self.LABELS)]


def ids(subset: PerClassSubset) -> list[int]:
    return [subset[i]['id'] for i in range(len(subset))]


def test_first_k_of_each_class():
    assert ids(PerClassSubset(Listed(), 2)) == [1, 3, 2, 5, 0, 4]
    assert ids(PerClassSubset(Listed(), 3)) == [1, 3, 6, 2, 5, 8, 0, 4, 9]


def test_seeded_choice_is_balanced_and_repeatable():
    choices = {tuple(ids(PerClassSubset(Listed(), 2, seed=seed))) for seed in range(30)}
    assert len(choices) > 5
    for choice in choices:
        labels = [Listed.LABELS[i] for i in choice]
        assert labels == [0, 0, 1, 1, 2, 2]
        assert len(set(choice)) == 6
    assert ids(PerClassSubset(Listed(), 2, seed=7)) == ids(PerClassSubset(Listed(), 2, seed=7))


def test_epoch_length_repeats_evenly():
    subset = PerClassSubset(Listed(), 1, epoch_length=7)
    assert ids(subset) == [1, 2, 0, 1, 2, 0, 1]
    assert subset.get_data_info(4)['id'] == 2


def test_over_a_real_data_set():
    subset = PerClassSubset(dict(type='mmrot.Digits', split='train'), 20, epoch_length=1000)
    labels = [subset.get_data_info(i)['gt_label'] for i in range(200)]
    np.testing.assert_array_equal(np.bincount(labels), np.full(10, 20))
    assert len(subset) == 1000
    assert subset.metainfo['classes'] == Digits.METAINFO['classes']


@pytest.mark.parametrize(
    ('count', 'message'),
    [
        (4, 'num_per_class=4: class 1 has 3 images'),
        (0, 'num_per_class=0: expected 1 or more'),
    ],
)
def test_bad_counts(count, message):
    with pytest.raises(ValueError, match=message):
        PerClassSubset(Listed(), count)
