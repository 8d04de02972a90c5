import numpy as np
import torch
from mmpretrain.structures import DataSample
from torch import nn

from mmrot.evaluation.features import extract_features


class Outputs(nn.Module):
    """Gives the image itself and its channel means."""

    def forward(self, x):
        return x, x.mean((2, 3))


def test_pools_maps_flattens_and_keeps_the_order():
    images = torch.arange(3 * 16.0).reshape(3, 1, 4, 4)
    samples = [DataSample().set_gt_label(label) for label in (2, 0, 1)]
    batches = [
        dict(inputs=images[:2], data_samples=samples[:2]),
        dict(inputs=images[2:], data_samples=samples[2:]),
    ]
    backbone = Outputs().train()
    (maps, vectors), labels = extract_features(backbone, lambda batch: batch, batches, 2)
    # the maximum of each quarter of 0..15, then of the next images
    quarters = np.array([5, 7, 13, 15])
    np.testing.assert_array_equal(maps, np.stack([quarters, quarters + 16, quarters + 32]))
    np.testing.assert_array_equal(vectors, [[7.5], [23.5], [39.5]])
    assert labels.tolist() == [2, 0, 1]
    assert backbone.training


def test_small_maps_stay_whole():
    batch = dict(inputs=torch.ones(1, 2, 2, 2), data_samples=[DataSample().set_gt_label(0)])
    (maps, _), _ = extract_features(Outputs(), lambda b: b, [batch], 4)
    assert maps.shape == (1, 8)
