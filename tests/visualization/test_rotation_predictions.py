import numpy as np
import torch
from mmengine.registry import MODELS

from mmrot.visualization import draw_rotation_predictions


def test_rotation_predictions_show_true_and_predicted_rotation():
    model = MODELS.build(
        dict(
            type='mmrot.RotationPred',
            angles=(0, 180),
            backbone=dict(type='mmrot.NIN', num_blocks=3, width=6),
            head=dict(type='mmrot.RotationHead', in_channels=6),
        )
    )
    model.head.fc.weight.data.zero_()
    model.head.fc.bias.data = torch.tensor([0.0, 1.0])  # predicts 180°
    images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    figure = draw_rotation_predictions(model, images)
    assert [axis.get_title() for axis in figure.axes] == ['180°'] * 4
    assert [axis.get_ylabel() for axis in figure.axes[::2]] == ['rotated by 0°', 'rotated by 180°']
    assert [axis.title.get_color() for axis in figure.axes[1:3]] == ['tab:red', 'tab:green']
    drawn = [np.asarray(axis.images[0].get_array()) for axis in figure.axes]
    upright = images.permute(0, 2, 3, 1).numpy() / 255
    assert np.corrcoef(drawn[0].ravel(), upright[0].ravel())[0, 1] > 0.999
    assert np.corrcoef(drawn[3][::-1, ::-1].ravel(), upright[1].ravel())[0, 1] > 0.999
