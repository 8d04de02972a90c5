import numpy as np
import pytest
from mmengine.dataset import BaseDataset, DefaultSampler

from mmrot.datasets import Digits, PerClassSubset


class Listed(BaseDataset):
    """A plain mmengine dataset: sample i has id i and a given label."""

    LABELS = (2, 0, 1, 0, 2, 1, 0, 0, 1, 2)

    def load_data_list(self):
        return [dict(id=i, gt_label=label) for i, label in enumerate(self.LABELS)]


def ids(subset: PerClassSubset) -> list[int]:
    return [subset[i]['id'] for i in range(len(subset))]


def test_per_class_subset_takes_the_first_k_and_alternates():
    assert ids(PerClassSubset(Listed(), 2)) == [1, 2, 0, 3, 5, 4]
    assert ids(PerClassSubset(Listed(), 3)) == [1, 2, 0, 3, 5, 4, 6, 8, 9]


def test_per_class_subset_seeded_choice_is_balanced_and_repeatable():
    choices = {tuple(ids(PerClassSubset(Listed(), 2, seed=seed))) for seed in range(30)}
    assert len(choices) > 5
    for choice in choices:
        labels = [Listed.LABELS[i] for i in choice]
        assert labels == [0, 1, 2, 0, 1, 2]
        assert len(set(choice)) == 6
    assert ids(PerClassSubset(Listed(), 2, seed=7)) == ids(PerClassSubset(Listed(), 2, seed=7))


def test_per_class_subset_epoch_is_balanced():
    subset = PerClassSubset(Listed(), 1, epoch_length=7)
    assert list(subset) == [subset[i] for i in range(7)]  # and ends
    assert ids(subset) == [1, 2, 0, 1, 2, 0, 1]
    assert subset.get_data_info(4)['id'] == 2
    # Figure 5b: 50,000 samples are 12 and a half times 400 of each of 10 classes
    digits = PerClassSubset(dict(type='mmrot.Digits', split='train'), 40, epoch_length=500)
    labels = [digits.get_data_info(i)['gt_label'] for i in range(500)]
    np.testing.assert_array_equal(np.bincount(labels), np.full(10, 50))


def test_per_class_subset_is_shared_between_processes(monkeypatch):
    """All make the same choice and together see every sample once."""
    seen = []
    for rank in range(3):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda r=rank: (r, 3))
        subset = PerClassSubset(Listed(), 2, seed=5, epoch_length=12)
        sampler = DefaultSampler(subset, shuffle=True, seed=1)
        seen += list(sampler)
    assert sorted(seen) == list(range(12))


def test_per_class_subset_wraps_a_dataset_config():
    subset = PerClassSubset(dict(type='mmrot.Digits', split='train'), 20, epoch_length=1000)
    labels = [subset.get_data_info(i)['gt_label'] for i in range(200)]
    np.testing.assert_array_equal(np.bincount(labels), np.full(10, 20))
    assert len(subset) == 1000
    assert subset.metainfo['classes'] == Digits.METAINFO['classes']


@pytest.mark.parametrize(
    ('count', 'message'),
    [
        (4, 'num_per_class=4, but class 1 has 3 images'),
        (0, 'num_per_class=0 is not a positive integer'),
        (2.5, r'num_per_class=2\.5 is not a positive integer'),
        ([1, 2], r'num_per_class=\[1, 2\] is not a positive integer'),
    ],
)
def test_per_class_subset_rejects_invalid_counts(count, message):
    with pytest.raises(ValueError, match=message):
        PerClassSubset(Listed(), count)


def test_per_class_subset_rejects_short_epochs_and_indices_out_of_range():
    with pytest.raises(ValueError, match='epoch_length=5 is less than the 6 images'):
        PerClassSubset(Listed(), 2, epoch_length=5)
    with pytest.raises(IndexError, match='index 6 is out of range for 6 samples'):
        PerClassSubset(Listed(), 2)[6]


def test_per_class_subset_names_a_class_with_too_few_images():
    digits = dict(type='mmrot.Digits', split='test')
    with pytest.raises(ValueError, match=r'num_per_class=99, but class 0 has \d+ images'):
        PerClassSubset(digits, 99)
