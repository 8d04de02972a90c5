import math

import pytest
import torch
from mmengine.registry import MODELS

from mmrot.models import RotationHead


def head_of(weight: list, **kwargs) -> RotationHead:
    """A head with the given weight rows and no bias."""
    head = RotationHead(in_channels=len(weight[0]), num_classes=len(weight), **kwargs)
    head.fc.weight.data = torch.tensor(weight)
    head.fc.bias.data.zero_()
    return head


def test_rotation_head_averages_maps_over_positions():
    head = head_of([[1.0, 0.0], [0.0, 1.0]])
    feat = torch.tensor([[[[1.0, 3.0], [5.0, 7.0]], [[0.0, 0.0], [0.0, 2.0]]]])  # (1, 2, 2, 2)
    assert head((feat,)).tolist() == [[4.0, 0.5]]
    assert head((torch.tensor([[4.0, 0.5]]),)).tolist() == [[4.0, 0.5]]


def test_rotation_head_in_index_selects_the_output():
    first, last = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    identity = [[1.0, 0.0], [0.0, 1.0]]
    assert head_of(identity)((first, last)).tolist() == last.tolist()
    assert head_of(identity, in_index=0)((first, last)).tolist() == first.tolist()


def test_rotation_head_computes_loss_and_accuracy():
    head = head_of([[1.0, 0.0], [0.0, 1.0]])
    feats = (torch.tensor([[2.0, 0.0], [1.0, 0.0]]),)
    losses = head.loss(feats, torch.tensor([0, 1]))
    by_hand = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(1))) / 2
    assert losses['loss'].item() == pytest.approx(by_hand)
    assert losses['accuracy'].item() == 50.0
    assert not losses['accuracy'].requires_grad


@pytest.mark.parametrize(
    ('feats', 'error', 'message'),
    [
        (torch.zeros(1, 2), TypeError, 'returned a Tensor instead of a tuple'),
        ((torch.zeros(1, 3),), ValueError, r'shape \(1, 3\). Expected .* C=in_channels=2'),
        ((torch.zeros(1, 2, 2),), ValueError, r'shape \(1, 2, 2\). Expected .* C=in_channels=2'),
    ],
)
def test_rotation_head_rejects_invalid_features(feats, error, message):
    with pytest.raises(error, match=message):
        head_of([[1.0, 0.0]])(feats)


def test_rotation_head_rejects_in_index_out_of_range():
    with pytest.raises(ValueError, match='in_index=3 is out of range for the 1 outputs'):
        head_of([[1.0, 0.0]], in_index=3)((torch.zeros(1, 2),))


@pytest.mark.parametrize(
    ('backbone', 'channels'),
    [
        (dict(type='mmpretrain.MobileNetV2', widen_factor=0.25), 1280),
        (
            dict(type='mmpretrain.VisionTransformer', arch='deit-tiny', img_size=32, patch_size=8),
            192,
        ),
        (dict(type='mmdet.ResNet', depth=18), 512),
        (dict(type='mmseg.ResNetV1c', depth=18), 512),
    ],
)
def test_rotation_pred_trains_backbones_of_other_packages(backbone, channels):
    """Maps and vectors of mmpretrain, mmdet and mmseg train under RotationPred."""
    pytest.importorskip(backbone['type'].partition('.')[0])
    model = MODELS.build(
        dict(
            type='mmrot.RotationPred',
            backbone=backbone,
            head=dict(type='mmrot.RotationHead', in_channels=channels),
        )
    )
    data = model.data_preprocessor(dict(inputs=torch.rand(2, 3, 32, 32)))
    losses = model(**data, mode='loss')
    losses['loss'].backward()
    assert losses['loss'].item() == pytest.approx(math.log(4), rel=0.5)
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.backbone.parameters())
