import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.dataset import default_collate
from mmengine.registry import TRANSFORMS

from mmrot.datasets.transforms import RotatedCopies


@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_rotated_copies_equal_numpy_rot90(dtype):
    image = np.arange(3 * 3 * 3).reshape(3, 3, 3).astype(dtype)
    copies = RotatedCopies()(dict(img=image, gt_label=1))['img']
    assert len(copies) == 4
    for k, copy in enumerate(copies):
        np.testing.assert_array_equal(copy, np.rot90(image, k))
        assert copy.dtype == dtype


def test_rotated_copies_collate_into_one_tensor_per_angle():
    pipeline = Compose(
        [
            TRANSFORMS.build(dict(type='mmrot.RotatedCopies', angles=(0, 180))),
            TRANSFORMS.build(dict(type='mmpretrain.PackInputs')),
        ]
    )
    images = [np.full((4, 4, 3), value, np.uint8) for value in (1, 2, 3)]
    batch = default_collate([pipeline(dict(img=image)) for image in images])
    assert [tuple(view.shape) for view in batch['inputs']] == [(3, 3, 4, 4)] * 2
    assert torch.equal(batch['inputs'][0][:, 0, 0, 0], torch.tensor([1, 2, 3], dtype=torch.uint8))
    assert len(batch['data_samples']) == 3


def test_rotated_copies_reject_non_square_images():
    with pytest.raises(ValueError, match='not square'):
        RotatedCopies()(dict(img=np.zeros((2, 3, 3), np.uint8)))


def test_rotated_copies_reject_invalid_angles():
    with pytest.raises(ValueError, match='angle 10 '):
        RotatedCopies((0, 10))


def test_rotated_copies_repr_shows_angles():
    assert repr(RotatedCopies((0, 180))) == 'RotatedCopies(angles=(0, 180), crop_upright=True)'
