import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nn

from mmrot.models import AlexNet, AlexNetProbe, LayerProbes, LinearProbe, MLPProbe, NINBlockProbe

# Side of the pooled map per AlexNet stage, and what it flattens to (Table 5).
ALEXNET_POOLS = {'conv1': 12, 'conv2': 7, 'conv3': 5, 'conv4': 6, 'conv5': 6}
CHANNELS = {'conv1': 64, 'conv2': 192, 'conv3': 384, 'conv4': 256, 'conv5': 256}


def samples(labels: list[int]) -> list[DataSample]:
    return [DataSample().set_gt_label(label) for label in labels]


def classifier(frozen_stages: int = 3) -> nn.Module:
    """A narrow NIN with a probe of each kind on its blocks."""
    model = MODELS.build(
        dict(
            type='mmpretrain.ImageClassifier',
            backbone=dict(
                type='mmrot.NIN',
                num_blocks=3,
                width=12,
                out_indices=(0, 1, 2),
                frozen_stages=frozen_stages,
            ),
            head=dict(
                type='mmrot.LayerProbes',
                num_classes=3,
                probes=dict(
                    conv1=dict(type='mmrot.LinearProbe', in_channels=6, pool_size=2),
                    conv2=dict(type='mmrot.NINBlockProbe', in_channels=12, width=6),
                    conv3=dict(type='mmrot.MLPProbe', in_features=12 * 4 * 4, hidden=(8,)),
                ),
            ),
        )
    )
    model.init_weights()
    return model


def test_linear_probe_pools_alexnet_to_published_sizes():
    feats = AlexNet(out_indices=list(ALEXNET_POOLS)).eval()(torch.rand(1, 3, 224, 224))
    sizes = []
    for (name, pool), feat in zip(ALEXNET_POOLS.items(), feats, strict=True):
        probe = LinearProbe(CHANNELS[name], 10, pool)
        sizes.append(probe.pool(feat).numel())
        assert probe.fc.in_features == sizes[-1]
        assert probe.eval()(feat).shape == (1, 10)
    assert sizes == [9216, 9408, 9600, 9216, 9216]


def test_linear_probe_averages_fixed_windows():
    probe = LinearProbe(1, 1, pool_size=2, pool='avg', window=(2, 1, 0))
    pooled = probe.pool(torch.arange(9.0).reshape(1, 1, 3, 3))
    assert pooled.flatten().tolist() == [2, 3, 5, 6]  # adaptive windows are the same here
    pooled = LinearProbe(1, 1, pool_size=3, pool='avg', window=(2, 2, 1)).pool(
        torch.full((1, 1, 4, 4), 4.0)
    )
    assert pooled.flatten().tolist() == [1, 2, 1, 2, 4, 2, 1, 2, 1]  # zeros around the map
    with pytest.raises(ValueError, match=r"window=\(2, 1, 0\) requires pool='avg'"):
        LinearProbe(1, 1, pool_size=2, window=(2, 1, 0))


def test_linear_probe_normalises_pooled_maxima():
    probe = LinearProbe(1, 1, pool_size=1).train()
    probe.fc.weight.data.fill_(2.0)
    probe.fc.bias.data.fill_(1.0)
    maps = torch.tensor([[[[0.0, 3.0]]], [[[5.0, -1.0]]]])  # maxima 3 and 5: normalised ±1
    torch.testing.assert_close(probe(maps), torch.tensor([[-1.0], [3.0]]), atol=1e-4, rtol=0)
    assert not list(probe.bn.parameters())
    average = LinearProbe(1, 1, pool_size=1, pool='avg').pool(maps)
    assert average.flatten().tolist() == [1.5, 2.0]
    with pytest.raises(ValueError, match="pool='mean' is not 'max' or 'avg'"):
        LinearProbe(1, 1, 1, pool='mean')


def test_mlp_and_nin_block_probes_have_published_layers():
    mlp = MLPProbe(192 * 8 * 8, 10)
    kinds = [type(m).__name__ for m in mlp.modules() if not list(m.children())]
    assert kinds == ['Linear', 'BatchNorm1d', 'ReLU'] * 2 + ['Linear']
    assert [fc.out_features for fc in mlp.modules() if isinstance(fc, nn.Linear)] == [200, 200, 10]
    conv = NINBlockProbe(192, 10)
    sizes = [m.weight.shape[:3] for m in conv.modules() if isinstance(m, nn.Conv2d)]
    assert sizes == [(192, 192, 3), (192, 192, 1), (192, 192, 1)]
    assert conv(torch.rand(2, 192, 8, 8)).shape == (2, 10)


@pytest.mark.parametrize(
    ('after', 'channels', 'trained'),
    [
        ('conv4', 256, ['conv5', 'pool5', 'fc6', 'fc7', 'fc']),
        ('conv5', 256, ['pool5', 'fc6', 'fc7', 'fc']),
    ],
)
def test_alexnet_probe_has_the_layers_after_a_stage(after, channels, trained):
    probe = AlexNetProbe(after, num_classes=10).eval()
    assert [name for name, _ in probe.named_children()] == trained
    assert probe(torch.rand(1, channels, 13, 13)).shape == (1, 10)
    old = AlexNetProbe(behind=after, num_classes=10)
    assert old.state_dict().keys() == probe.state_dict().keys()


def test_alexnet_probe_rejects_the_last_stage():
    with pytest.raises(ValueError, match=r"after='fc7' is not one of conv1, .*, fc6"):
        AlexNetProbe('fc7', num_classes=10)


def test_joint_loss_is_the_sum_of_separate_ones():
    model = classifier()
    images, data = torch.rand(4, 3, 16, 16), samples([0, 1, 2, 0])
    losses = model(images, data, mode='loss')
    target = torch.tensor([0, 1, 2, 0])
    feats = model.backbone(images)
    for index, (name, probe) in enumerate(model.head.probes.items()):
        expected = F.cross_entropy(probe(feats[index]), target)
        torch.testing.assert_close(losses[f'{name}.loss'], expected)
    total, _ = model.parse_losses(losses)
    assert total.item() == pytest.approx(sum(losses[f'conv{i}.loss'].item() for i in (1, 2, 3)))


def test_probes_train_as_they_would_alone():
    """After some steps the joint probes have the weights of separate runs."""
    images, data = torch.rand(6, 3, 16, 16), samples([0, 1, 2, 0, 1, 2])
    torch.manual_seed(0)
    together = classifier()
    states = {
        name: {k: v.clone() for k, v in p.state_dict().items()}
        for name, p in together.head.probes.items()
    }
    wrapper = OptimWrapper(torch.optim.SGD(together.parameters(), lr=0.1, momentum=0.9))
    for _ in range(3):
        together.train_step(dict(inputs=images, data_samples=data), wrapper)
    feats = together.backbone(images)
    for index, (name, trained) in enumerate(together.head.probes.items()):
        alone = classifier().head.probes[name].train()
        alone.load_state_dict(states[name])
        optimizer = torch.optim.SGD(alone.parameters(), lr=0.1, momentum=0.9)
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(alone(feats[index]), torch.tensor([0, 1, 2, 0, 1, 2])).backward()
            optimizer.step()
        for key, value in alone.state_dict().items():
            torch.testing.assert_close(trained.state_dict()[key], value, msg=f'{name}.{key}')


def test_layer_probes_train_and_the_frozen_backbone_does_not():
    model = classifier()
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert all(not feat.requires_grad for feat in model.backbone(torch.rand(2, 3, 16, 16)))
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=1.0))
    data = dict(inputs=torch.rand(4, 3, 16, 16), data_samples=samples([0, 1, 2, 0]))
    model.train_step(data, wrapper)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) == name.startswith('backbone.'), name


def test_separable_features_reach_100_percent():
    torch.manual_seed(0)
    head = LayerProbes(
        dict(
            a=dict(type='mmrot.LinearProbe', in_channels=2, pool_size=1),
            b=dict(type='mmrot.MLPProbe', in_features=8, hidden=(4,)),
        ),
        num_classes=2,
    )
    labels = torch.arange(32) % 2
    maps = torch.randn(32, 2, 2, 2) * 0.1
    maps[:, 0] += labels[:, None, None]
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1, momentum=0.9)
    data = samples(labels.tolist())
    for _ in range(50):
        losses = head.loss((maps, maps), data)
        optimizer.zero_grad()
        (losses['a.loss'] + losses['b.loss']).backward()
        optimizer.step()
    assert (losses['a.accuracy'], losses['b.accuracy']) == (100, 100)


def test_layer_probes_predict_returns_probabilities_per_stage():
    model = classifier().eval()
    images = torch.rand(2, 3, 16, 16)
    predictions = model(images, samples([0, 1]), mode='predict')
    logits = model.head(model.backbone(images))
    for index, sample in enumerate(predictions):
        assert list(sample.layer_scores) == ['conv1', 'conv2', 'conv3']
        for name, score in sample.layer_scores.items():
            torch.testing.assert_close(score, logits[name][index].softmax(0))


def test_layer_probes_reject_another_number_of_outputs():
    model = classifier()
    with pytest.raises(ValueError, match=r'returned 2 outputs for 3 probes \(conv1, '):
        model.head(model.backbone(torch.rand(1, 3, 16, 16))[:2])


@pytest.mark.parametrize(
    'probe',
    [
        dict(type='mmrot.LinearProbe', in_channels=64, pool_size=12),
        dict(type='mmrot.MLPProbe', in_features=192 * 8 * 8),
        dict(type='mmrot.NINBlockProbe', in_channels=192),
        dict(type='mmrot.AlexNetProbe', after='conv5'),
    ],
)
def test_classifiers_start_from_normal_weights_over_the_fan_out(probe):
    torch.manual_seed(0)
    probe = MODELS.build(dict(probe, num_classes=100))
    probe.init_weights()
    for layer in probe.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            fan_out = layer.weight.numel() / layer.weight.shape[1]
            assert layer.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)
            assert layer.bias is None or not layer.bias.any()


def test_another_number_of_classes_sets_the_scale_of_the_classifiers():
    fc = dict(type='mmrot.LinearProbe', in_channels=64, pool_size=12)
    head = LayerProbes(
        probes=dict(
            conv1=fc,
            conv2=dict(type='mmrot.MLPProbe', in_features=300),
            conv3=dict(fc, init_cfg=dict(type='Normal', layer='Linear', std=0.01)),
        ),
        num_classes=20,
        init_num_classes=1000,
    )
    head.init_weights()
    weights = {name: p for name, p in head.named_parameters() if p.ndim == 2}
    assert {name: pytest.approx(p.std().item(), rel=0.05) for name, p in weights.items()} == {
        'probes.conv1.fc.weight': (2 / 1000) ** 0.5,
        'probes.conv2.hidden.layer1.fc.weight': (2 / 200) ** 0.5,
        'probes.conv2.hidden.layer2.fc.weight': (2 / 200) ** 0.5,
        'probes.conv2.fc.weight': (2 / 1000) ** 0.5,
        'probes.conv3.fc.weight': 0.01,
    }


def test_a_probe_without_fc_keeps_its_own_initialisation():
    @MODELS.register_module(force=True)
    class ConstantProbe(nn.Module):
        def __init__(self, num_classes):
            super().__init__()
            self.classifier = nn.Linear(4, num_classes)
            nn.init.constant_(self.classifier.weight, 0.5)

    probes = dict(conv1=dict(type='ConstantProbe'))
    head = LayerProbes(probes, num_classes=2, init_num_classes=1000)
    head.init_weights()
    assert head.probes['conv1'].classifier.weight.eq(0.5).all()
