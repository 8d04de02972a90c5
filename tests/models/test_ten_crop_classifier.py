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
def test_ten_crop_classifier_averages_stacked_crops():
    """The top left pixels of ten crops of 2×2."""
    model = build('MultiLabelLinearClsHead')
    crops = torch.randn(2, 10, 3, 2, 2)
    images = torch.cat(list(crops.unbind(1)), dim=2)  # (2, 3, 20, 2)
    (first, second) = model(images, [DataSample(), DataSample()], mode='predict')
    for found, pixels in zip((first, second), crops[:, :, :2, 0, 0], strict=True):
        torch.testing.assert_close(found.pred_score, pixels.mean(0).sigmoid())


@torch.no_grad()
def test_ten_crop_classifier_predicts_single_labels():
    model = build('LinearClsHead')
    image = torch.zeros(1, 3, 4, 2)
    image[:, 1] = 2
    (found,) = model(image, [DataSample()], mode='predict')
    torch.testing.assert_close(found.pred_score, torch.tensor([0.0, 2.0]).softmax(0))
    assert found.pred_label.item() == 1


@pytest.mark.parametrize('shape', [(1, 3, 4, 4), (1, 3, 5, 2)])
def test_ten_crop_classifier_rejects_other_images(shape):
    with pytest.raises(ValueError, match='are not crops of 2x2 below one another'):
        build('LinearClsHead')(torch.zeros(shape), mode='predict')
