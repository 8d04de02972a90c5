import json

import cv2
import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample

from mmrot.apis.demo import draw_per_class, one_of_each, probe_accuracy, run_demo

OPTIONS = {
    'train_cfg.max_epochs': 2,
    'default_hooks.checkpoint.interval': 2,
    'model.backbone.width': 12,
    'model.head.in_channels': 12,
}


@pytest.mark.slow
def test_demo(tmp_path, capsys):
    result = run_demo(str(tmp_path), OPTIONS)
    out = capsys.readouterr().out
    assert 'epoch   2/2' in out
    assert f'rotation accuracy {result["rotation_accuracy"]:.1f} %' in out
    for name in ('rotnet', 'random'):
        assert len(result[name]) == 4
        # 20 labels a class teach even random features more than chance, 10 %
        assert min(result[name]) > 20
    assert f'{result["rotnet"][1]:.1f} %' in out
    assert json.loads((tmp_path / 'demo.json').read_text()) == result
    picture = cv2.imread(str(tmp_path / 'rotations.png'))
    assert min(picture.shape[:2]) > 500
    assert (tmp_path / 'epoch_2.pth').exists()


def test_draw_per_class():
    labels = np.array([1, 0, 1, 1, 0, 0, 1])
    draws = {tuple(draw_per_class(labels, 2, seed)) for seed in range(20)}
    assert len(draws) > 1
    assert all(sorted(labels[list(draw)]) == [0, 0, 1, 1] for draw in draws)
    assert draw_per_class(labels, 2, 3).tolist() == draw_per_class(labels, 2, 3).tolist()
    with pytest.raises(ValueError, match='class 0 has 3 samples: expected 4'):
        draw_per_class(labels, 4, 0)


def test_probe_on_separable_features():
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    features = rng.normal(size=(40, 3)) + 10 * labels[:, None]
    assert probe_accuracy((features[:20], labels[:20]), (features[20:], labels[20:])) == 100
    swapped = 1 - labels[20:]
    assert probe_accuracy((features[:20], labels[:20]), (features[20:], swapped)) == 0


def test_one_of_each_picks_the_first_image_of_each_class():
    batch = dict(
        inputs=torch.arange(4).view(4, 1, 1, 1),
        data_samples=[DataSample().set_gt_label(label) for label in (4, 4, 7, 2)],
    )
    assert one_of_each(batch, count=7).flatten().tolist() == [3, 0, 2]  # by class
    assert one_of_each(batch, count=2).flatten().tolist() == [3, 0]
