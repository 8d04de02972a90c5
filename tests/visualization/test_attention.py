import numpy as np
import pytest
import torch
from torch import nn

from mmrot.errors import UserError
from mmrot.visualization import attention_maps, draw_attention


class Known(nn.Module):
    """A backbone that returns given outputs."""

    def __init__(self, *outputs):
        super().__init__()
        self.outputs = outputs

    def forward(self, images):
        return self.outputs


def test_attention_is_the_sum_of_powers_over_channels():
    activations = torch.zeros(1, 3, 2, 2)
    activations[0, :, 0, 0] = 2.0  # three channels of 2
    activations[0, 0, 1, 1] = -3.0  # one of -3
    backbone = Known(activations, activations, activations).train()
    maps = attention_maps(backbone, torch.zeros(1, 3, 8, 8), {'a': 1, 'b': 2, 'c': 4})
    torch.testing.assert_close(maps['a'], torch.tensor([[[1.0, 0.0], [0.0, 3 / 6]]]))
    torch.testing.assert_close(maps['b'], torch.tensor([[[1.0, 0.0], [0.0, 9 / 12]]]))
    torch.testing.assert_close(maps['c'], torch.tensor([[[3 * 16 / 81, 0.0], [0.0, 1.0]]]))
    assert not backbone.training


def test_attention_of_dead_and_huge_activations_is_finite():
    activations = torch.stack([torch.zeros(2, 2, 2), torch.full((2, 2, 2), 1e30)])
    (maps,) = attention_maps(Known(activations), torch.zeros(2, 3, 8, 8), {'a': 4}).values()
    assert maps.flatten(1).tolist() == [[0.0] * 4, [1.0] * 4]


@pytest.mark.parametrize(
    ('output', 'message'),
    [
        (torch.zeros(2, 5), r'Stage fc7 returns \(2, 5\), expected a map'),
        (torch.full((1, 1, 2, 2), torch.nan), 'Stage fc7 returns values that are not finite'),
        ((torch.zeros(1),), 'Stage fc7 returns tuple'),
    ],
)
def test_outputs_that_are_no_maps_are_named(output, message):
    with pytest.raises(UserError, match=message):
        attention_maps(Known(output), torch.zeros(1, 3, 8, 8), {'fc7': 1})


def test_each_map_is_below_its_copy():
    images = np.arange(3 * 2 * 4 * 4 * 3, dtype=np.uint8).reshape(3, 2, 4, 4, 3)
    maps = torch.rand(6, 2, 2)
    figure = draw_attention(images, {'conv1, p = 2': maps}, (0, 180))
    drawn = {}
    for axes in figure.axes:
        spec = axes.get_subplotspec()
        drawn[spec.rowspan.start, spec.colspan.start] = axes
    for index, column in enumerate((0, 3, 6)):  # three images beside each other
        for copy in range(2):
            image, heat = (drawn[row, column + copy].images[0] for row in (0, 1))
            np.testing.assert_array_equal(image.get_array(), images[index, copy])
            np.testing.assert_array_equal(heat.get_array(), maps[2 * index + copy])
            assert (heat.norm.vmin, heat.norm.vmax) == (0, 1)
            assert drawn[0, column + copy].get_title() == f'{180 * copy}°'
    assert drawn[1, 0].get_ylabel() == 'conv1, p = 2'


def test_further_images_are_in_the_next_block():
    figure = draw_attention(
        np.zeros((3, 4, 2, 2, 3), np.uint8), {'a': torch.rand(12, 1, 1)}, 'abcd'
    )
    starts = [axes.get_subplotspec().rowspan.start for axes in figure.axes]
    assert starts == [0, 1] * 8 + [3, 4] * 4
