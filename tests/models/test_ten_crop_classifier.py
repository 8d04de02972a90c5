import pytest
import torch
from mmengine.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nn

import mmrot  # noqa: F401
from mmrot.registry import MODELS as MMROT_MODELS


@MMROT_MODELS.register_module(force=True)
class TopLeftPixel(nn.Module):
    """Features of an image: its first two channels at the top left."""

    def forward(self, x):
        return (x[:, :2, 0, 0],)


def build(head: str) -> nn.Module:
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='mmrot.TenCropClassifier',
            crop_size=2,
            backbone=dict(type='mmrot.TopLeftPixel'),
            head=dict(type=f'mmpretrain.{head}', num_classes=2, in_channels=2),
        )
    )
    model.head.fc.weight.data = torch.eye(2)
    model.head.fc.bias.data.zero_()
    return model.eval()


@torch.no_grad()
def test_ten_crop_classifier_averages_ten_crops():
    """The top left pixels of crops of 2×2 in 4×4, and of their mirror images."""
    model = build('MultiLabelLinearClsHead')
    images = torch.arange(2 * 3 * 16.0).reshape(2, 3, 4, 4) / 50
    (first, second) = model(images, [DataSample(), DataSample()], mode='predict')
    rows = [0, 0, 2, 2, 1]
    columns, mirrored = [0, 2, 0, 2, 1], [1, 3, 1, 3, 2]
    for image, found in zip(images, (first, second), strict=True):
        pixels = [
            image[:2, r, c] for cs in (columns, mirrored) for r, c in zip(rows, cs, strict=True)
        ]
        expected = torch.stack(pixels).mean(0).sigmoid()
        torch.testing.assert_close(found.pred_score, expected)


@torch.no_grad()
def test_ten_crop_classifier_predicts_single_labels():
    model = build('LinearClsHead')
    image = torch.zeros(1, 3, 4, 4)
    image[:, 1] = 2
    (found,) = model(image, [DataSample()], mode='predict')
    torch.testing.assert_close(found.pred_score, torch.tensor([0.0, 2.0]).softmax(0))
    assert found.pred_label.item() == 1


def test_ten_crop_classifier_rejects_small_images():
    with pytest.raises(ValueError, match='bigger than input size'):
        build('LinearClsHead')(torch.zeros(1, 3, 1, 4), mode='predict')
