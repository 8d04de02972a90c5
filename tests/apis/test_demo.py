import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import MODELS
from mmpretrain.structures import DataSample

from mmrot.apis.demo import draw_per_class, draw_predictions, one_of_each, probe_accuracy, run_demo

OPTIONS = {
    'train_cfg.max_epochs': 2,
    'default_hooks.checkpoint.interval': 2,
    'model.backbone.width': 12,
    'model.head.in_channels': 12,
}


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


def test_drawing_names_true_and_predicted_rotation():
    model = MODELS.build(
        dict(
            type='mmrot.RotationPred',
            angles=(0, 180),
            backbone=dict(type='mmrot.NIN', num_blocks=3, width=6),
            head=dict(type='mmrot.RotationHead', in_channels=6),
        )
    )
    model.head.fc.weight.data.zero_()
    model.head.fc.bias.data = torch.tensor([0.0, 1.0])  # always says 180°
    batch = dict(
        inputs=torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8),
        data_samples=[DataSample().set_gt_label(label) for label in (4, 4, 7)],
    )
    figure = draw_predictions(model, one_of_each(batch, count=7))
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ['true 0°, predicted 180°'] * 2 + ['true 180°, predicted 180°'] * 2
    assert [axis.title.get_color() for axis in figure.axes[1:3]] == ['tab:red', 'tab:green']
    drawn = figure.axes[0].images[0].get_array()
    upright = batch['inputs'][0].permute(1, 2, 0).numpy() / 255
    assert np.corrcoef(np.asarray(drawn).ravel(), upright.ravel())[0, 1] > 0.999
    second = np.asarray(figure.axes[3].images[0].get_array())  # the 7, turned by 180°
    upright = batch['inputs'][2].permute(1, 2, 0).numpy() / 255
    assert np.corrcoef(second[::-1, ::-1].ravel(), upright.ravel())[0, 1] > 0.999
