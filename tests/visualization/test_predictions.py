import pytest

from mmrot.visualization import draw_side_by_side


def test_draw_side_by_side_rejects_count_below_1(tmp_path):
    with pytest.raises(ValueError, match='count=0 is not a positive integer'):
        next(draw_side_by_side(None, [], None, tmp_path, count=0))


def test_draw_side_by_side_rejects_other_visualizers(tmp_path):
    with pytest.raises(ValueError, match=r'visualizer object draws neither .*config of mmdet'):
        next(draw_side_by_side(None, [], object(), tmp_path))
