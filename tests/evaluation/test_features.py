import numpy as np
import torch
from mmpretrain.structures import DataSample
from torch import nn

from mmrot.evaluation.features import extract_features


class Outputs(nn.Module):
    """Returns the image itself and its channel maxima."""

    def forward(self, x):
        return x, x.amax((2, 3))


def test_extract_features_averages_maps_and_keeps_order():
    images = torch.arange(3 * 16.0).reshape(3, 1, 4, 4)
    samples = [DataSample().set_gt_label(label) for label in (2, 0, 1)]
    batches = [
        dict(inputs=images[:2], data_samples=samples[:2]),
        dict(inputs=images[2:], data_samples=samples[2:]),
    ]
    backbone = Outputs().train()
    (maps, vectors), labels = extract_features(backbone, lambda batch: batch, batches)
    np.testing.assert_array_equal(maps, [[7.5], [23.5], [39.5]])
    np.testing.assert_array_equal(vectors, [[15.0], [31.0], [47.0]])
    assert labels.tolist() == [2, 0, 1]
    assert backbone.training
