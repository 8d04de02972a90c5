import numpy as np
import pytest
from sklearn.datasets import load_digits

from mmrot.datasets import Digits


@pytest.mark.parametrize(('hold_out', 'sizes'), [(6, (1497, 300)), (3, (1198, 599))])
def test_digits_splits_are_disjoint_and_complete(hold_out, sizes):
    train, test = (Digits(split, size=8, hold_out=hold_out) for split in ('train', 'test'))
    assert (len(train), len(test)) == sizes
    digits = load_digits()
    first = test.get_data_info(1)  # at its own size
    np.testing.assert_array_equal(
        first['img'][..., 0], np.round(digits.images[hold_out] * 255 / 16).astype(np.uint8)
    )
    assert first['gt_label'] == digits.target[hold_out]
    counts = np.bincount(train.get_gt_labels()) + np.bincount(test.get_gt_labels())
    np.testing.assert_array_equal(counts, np.bincount(digits.target))


def test_digits_are_enlarged_to_three_equal_channels():
    info = Digits('test', size=20).get_data_info(0)
    assert info['img'].shape == (20, 20, 3)
    assert info['img'].dtype == np.uint8
    assert (info['img'] == info['img'][..., :1]).all()
    assert info['img'].max() > 200


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(split='val'), "split='val' is not 'train' or 'test'"),
        (dict(size=4), 'size=4 is below 8'),
        (dict(hold_out=1), 'hold_out=1 is below 2'),
    ],
)
def test_digits_reject_invalid_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Digits(**arguments)
