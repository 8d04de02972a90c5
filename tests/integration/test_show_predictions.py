"""Pictures of predictions next to the ground truth."""

import cv2
import numpy as np
import pytest
import torch
from helpers import inheriting
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

pytest.importorskip('mmdet')
FASTER = inheriting('benchmarks/detection/faster_rcnn_alexnet_voc07.py')


@pytest.fixture(scope='module')
def detector(tmp_path_factory):
    """A checkpoint of a detector at random initialisation."""
    cfg = Config.fromfile(FASTER)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
    path = tmp_path_factory.mktemp('weights') / 'detector.pth'
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, path)
    return path


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore:__array_wrap__', 'ignore:.*out of bounds')
def test_show_predictions_draws_input_prediction_and_ground_truth(
    voc, detector, tmp_path, run_tool, capsys
):
    run_tool(
        *('show_predictions', FASTER, detector, '--work-dir', tmp_path / 'work'),
        *('--count', 2, '--out-dir', tmp_path / 'pictures', '--score-thr', 1),
        *('--cfg-options', f'data_root={voc}/', 'test_dataloader.num_workers=0'),
        'test_dataloader.dataset.pipeline.1.scale=(200,96)',
    )
    pictures = sorted((tmp_path / 'pictures').iterdir())
    assert [path.name for path in pictures] == ['00000_000004.png', '00001_000005.png']
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if line.endswith('.png')] == [str(p) for p in pictures]
    assert not list((tmp_path / 'work').rglob('*.png'))
    picture = cv2.imread(str(pictures[0])).astype(int)
    source = cv2.imread(str(voc / 'VOC2007/JPEGImages/000004.jpg')).astype(int)
    assert picture.shape == (24 + 96, 3 * 128 + 2 * 8, 3)
    panels = [picture[24:, start : start + 128] for start in (0, 136, 272)]
    assert np.array_equal(panels[0], source)
    # no box has a score of 1, and the ground truth is one box at the border of the square
    assert abs(panels[1] - source).mean() < 2
    difference = abs(panels[2] - source).sum(2)
    assert (difference > 100).any()


@pytest.mark.slow
def test_show_predictions_rejects_a_checkpoint_of_another_model(detector, tmp_path, run_tool):
    arguments = ['show_predictions', inheriting('rotnet/nin4_digits.py'), detector]
    with pytest.raises(SystemExit, match='does not match the model'):
        run_tool(*arguments, '--work-dir', tmp_path)
