import pytest
import torch

pytest.importorskip('mmdet')
pytest.importorskip('mmcv._ext')
from mmrot.detection import RoIPoolExtractor


def test_regions_are_pooled_over_cells_around_their_centre():
    """Cell i is centred on pixel 16·i; rounded down and up, cells would be 7.5 pixels off."""
    extractor = RoIPoolExtractor(dict(output_size=(6, 6)), 2, [16])
    torch.manual_seed(0)
    corners = torch.rand(2000, 2) * 300
    sizes = 100 + torch.rand(2000, 2) * 300
    regions = torch.cat([torch.zeros(2000, 1), corners, corners + sizes], 1)
    columns = torch.arange(64.0).expand(64, 64)
    # the largest of a region's columns, and minus the smallest
    last, first = extractor((torch.stack([columns, -columns])[None],), regions).unbind(1)
    centres = 16 * (last.amax((1, 2)) - first.amax((1, 2))) / 2
    offsets = centres - (regions[:, 1] + regions[:, 3]) / 2
    assert offsets.mean().abs() < 0.5
    assert offsets.abs().max() <= 8


def test_corners_are_rounded_to_the_nearest_cell():
    extractor = RoIPoolExtractor(dict(output_size=(1, 2)), 1, [16])
    maps = torch.arange(25.0).view(1, 1, 5, 5)
    regions = torch.tensor([[0, 23, 9, 57, 40], [0, 25, 9, 55, 40]], dtype=torch.float)
    # columns 1 to 4 and 2 to 3, rows 1 to 3
    assert extractor((maps,), regions).flatten().tolist() == [17, 19, 17, 18]
    assert extractor((maps,), regions[:0]).shape == (0, 1, 1, 2)
