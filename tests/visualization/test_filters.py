import numpy as np
import pytest
import torch
from torch import nn

from mmrot.errors import UserError
from mmrot.models import NIN, AlexNet
from mmrot.visualization import draw_filters, first_layer_filters


def network(norm: nn.Module, channels: int = 3) -> nn.Module:
    conv = nn.Conv2d(channels, 2, 2, bias=False)
    nn.init.ones_(conv.weight)
    return nn.Sequential(nn.Identity(), conv, norm, nn.Conv2d(2, 4, 1))


def test_filters_are_scaled_by_batch_norm():
    norm = nn.BatchNorm2d(2, eps=0.0)
    norm.weight.data = torch.tensor([3.0, -1.0])
    norm.running_var = torch.tensor([4.0, 0.25])
    filters = first_layer_filters(network(norm))
    torch.testing.assert_close(
        filters, torch.tensor([1.5, -2.0])[:, None, None, None].expand(2, 3, 2, 2)
    )


@pytest.mark.parametrize(
    'norm', [nn.ReLU(), nn.BatchNorm2d(5), nn.BatchNorm2d(2, track_running_stats=False)]
)
def test_filters_without_their_batch_norm_are_the_weights(norm):
    backbone = network(norm, channels=1)
    torch.testing.assert_close(first_layer_filters(backbone), backbone[1].weight)


def test_own_networks():
    for backbone, shape in ((AlexNet(out_indices=(0,)), (64, 3, 11, 11)), (NIN(), (192, 3, 5, 5))):
        for module in backbone.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.data.fill_(2.0)
        (first, *_) = (m for m in backbone.modules() if isinstance(m, nn.Conv2d))
        filters = first_layer_filters(backbone)
        assert filters.shape == shape
        torch.testing.assert_close(filters, 2 * first.weight, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ('backbone', 'message'),
    [
        (nn.Sequential(nn.Linear(3, 3)), 'Sequential has no convolution'),
        (network(nn.ReLU(), channels=8), 'has 8 input channels in 1 groups'),
        (nn.Sequential(nn.Conv2d(3, 3, 3, groups=3)), 'has 3 input channels in 3 groups'),
    ],
)
def test_networks_without_filters_of_images_are_named(backbone, message):
    with pytest.raises(UserError, match=message):
        first_layer_filters(backbone)


def test_zero_is_grey_and_the_scale_is_common():
    filters = torch.stack([torch.full((3, 2, 2), v) for v in (0.0, 1.0, -1.0, 0.5)])
    (axes,) = draw_filters(filters, columns=2).axes
    sheet = np.asarray(axes.images[0].get_array())
    assert sheet.shape == (7, 7, 3)  # 2 × 2 filters, white lines around them
    corners = [sheet[row, column, 0] for row in (1, 4) for column in (1, 4)]
    assert corners == pytest.approx([0.5, 1.0, 0.0, 0.75])
    assert sheet[0, 0, 0] == 1.0


def test_filters_that_are_not_finite_are_an_error():
    with pytest.raises(UserError, match='not finite'):
        draw_filters(torch.full((1, 3, 2, 2), torch.inf))
