import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS
from mmpretrain.structures import DataSample

from mmrot.models import RotationPred
from mmrot.rotation import EIGHTH_TURNS, needs_warp, quarter_turn


def build(**kwargs) -> RotationPred:
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='mmrot.RotationPred',
            backbone=dict(type='mmrot.NIN', num_blocks=3, width=12),
            head=dict(type='mmrot.RotationHead', in_channels=12),
            **kwargs,
        )
    )
    model.init_weights()
    return model


def test_loss_is_the_mean_over_all_copies():
    """Against equation 3 of the paper, written out image by image."""
    model = build().eval()
    images = torch.rand(2, 3, 16, 16)
    data = model.data_preprocessor(dict(inputs=images))
    loss = model(**data, mode='loss')['loss']
    terms = []
    for image in images:
        for k in range(4):
            logits = model.head(model.backbone(torch.rot90(image, k, (1, 2))[None]))
            terms.append(-F.log_softmax(logits, 1)[0, k])
    assert loss.item() == pytest.approx(torch.stack(terms).mean().item(), abs=1e-6)


@pytest.mark.parametrize('angles', [(0, 180), (90, 270), EIGHTH_TURNS])
def test_rotation_pred_passes_its_angles_on(angles):
    model = build(angles=angles)
    assert model.data_preprocessor.angles == angles
    assert model.head.fc.out_features == len(angles)
    data = model.data_preprocessor(dict(inputs=torch.rand(2, 3, 16, 16)))
    (first, second) = model(**data, mode='predict')
    assert first.rotation_score.shape == (len(angles), len(angles))
    torch.testing.assert_close(second.rotation_score.sum(1), torch.ones(len(angles)))
    assert first.angles == angles


def test_rotation_pred_predict_keeps_samples_and_order():
    model = build().eval()
    images = torch.rand(3, 3, 16, 16)
    samples = [DataSample().set_gt_label(i) for i in range(3)]
    data = model.data_preprocessor(dict(inputs=images, data_samples=samples))
    predictions = model(**data, mode='predict')
    assert [int(p.gt_label) for p in predictions] == [0, 1, 2]
    logits = model.head(model.backbone(torch.rot90(images[1], 2, (1, 2))[None]))
    torch.testing.assert_close(predictions[1].rotation_score[2], logits.softmax(1)[0])


def test_rotation_pred_tensor_mode_returns_features():
    model = build().eval()
    batch = torch.rand(4, 3, 16, 16)
    (feature,) = model(batch)
    assert torch.equal(feature, model.backbone(batch)[0])


def test_channels_last_reaches_weights_and_features():
    torch.manual_seed(0)
    model = build(channels_last=True).eval()  # batch statistics would amplify rounding
    assert model.backbone.block1.layer1.conv.weight.is_contiguous(
        memory_format=torch.channels_last
    )
    data = model.data_preprocessor(dict(inputs=torch.rand(2, 3, 16, 16)))
    (feature,) = model(data['inputs'])
    assert feature.is_contiguous(memory_format=torch.channels_last)
    assert not feature.is_contiguous()
    plain = build().eval()
    plain.load_state_dict(model.state_dict())
    expected = plain(plain.data_preprocessor(dict(inputs=data['inputs'][::4]))['inputs'])[0]
    torch.testing.assert_close(feature, expected, rtol=1e-4, atol=1e-4)


def test_rotation_pred_learns_a_brightness_gradient():
    """Images that are brighter on top: the loss falls to near nothing."""
    model = build()
    ramp = torch.linspace(1, -1, 16)[:, None].expand(3, 16, 16)
    images = ramp + 0.1 * torch.randn(8, 3, 16, 16)
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
    first = model.train_step(dict(inputs=images), wrapper)['loss'].item()
    for _ in range(20):
        last = model.train_step(dict(inputs=images), wrapper)
    assert first > 1
    assert last['loss'].item() < 0.1
    assert last['accuracy'].item() == 100


@pytest.mark.parametrize(
    ('place', 'key', 'value'),
    [('head', 'num_classes', 8), ('data_preprocessor', 'angles', (0, 180))],
)
def test_rotation_pred_rejects_settings_that_follow_from_it(place, key, value):
    parts = dict(head=dict(type='mmrot.RotationHead', in_channels=12), data_preprocessor={})
    parts[place][key] = value
    with pytest.raises(ValueError, match=f'{place}.{key}=.* must not be set: it is derived'):
        RotationPred(backbone=dict(type='mmrot.NIN', width=12), **parts)


def test_rotation_pred_rejects_repeated_angles():
    with pytest.raises(ValueError, match='angle 45 is repeated'):
        build(angles=(45, 45))


@pytest.mark.parametrize('crop_upright', [True, False])
@pytest.mark.parametrize('angles', [(0, 90, 180, 270), (0, 180), (90, 270), EIGHTH_TURNS])
def test_predict_rotation_agrees_with_the_predictions_for_copies(angles, crop_upright):
    model = build(angles=angles, crop_upright=crop_upright).eval()
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        samples = model(**model.data_preprocessor(dict(inputs=images)), mode='predict')
        rotated = images if needs_warp(angles) else quarter_turn(images, angles[0] // 90)
        scores = model.predict_rotation(rotated)
    for score, sample in zip(scores, samples, strict=True):
        torch.testing.assert_close(score, sample.rotation_score[0])
