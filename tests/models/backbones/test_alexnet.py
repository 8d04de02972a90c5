import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate as resize

from mmrot.models import AlexNet
from mmrot.weights import fully_convolutional

# out channels, in channels, kernel size of conv1 to conv5
CONVS = ((64, 3, 11), (192, 64, 5), (384, 192, 3), (256, 384, 3), (256, 256, 3))


def expected_parameters(stages: int) -> int:
    """Parameters of the first stages: convs with bias, fcs without, batch norm on all."""
    counts = [o * i * k**2 + o + 2 * o for o, i, k in CONVS]
    counts += [0, 9216 * 4096 + 2 * 4096, 4096 * 4096 + 2 * 4096]
    return sum(counts[:stages])


def test_alexnet_has_published_map_sizes_and_parameters():
    net = AlexNet(out_indices=range(8)).eval()
    shapes = [tuple(out.shape[1:]) for out in net(torch.rand(1, 3, 224, 224))]
    assert shapes == [
        (64, 27, 27),
        (192, 13, 13),
        (384, 13, 13),
        (256, 13, 13),
        (256, 13, 13),
        (256, 6, 6),
        (4096,),
        (4096,),
    ]
    assert sum(p.numel() for p in net.parameters()) == expected_parameters(8)


@pytest.mark.parametrize('last', [0, 4, 5])
def test_alexnet_builds_nothing_after_the_last_stage(last):
    net = AlexNet(out_indices=(last,))
    assert [name for name, _ in net.named_children()] == list(AlexNet.STAGES[: last + 1])
    assert sum(p.numel() for p in net.parameters()) == expected_parameters(last + 1)


def test_alexnet_prefix_computes_the_same_map():
    long, short = AlexNet(out_indices=(2, 5)).eval(), AlexNet(out_indices=(2,)).eval()
    missing = short.load_state_dict(long.state_dict(), strict=False).missing_keys
    assert missing == []
    image = torch.rand(1, 3, 95, 95)
    assert torch.equal(short(image)[0], long(image)[0])


@torch.no_grad()
def test_alexnet_outputs_have_the_names_of_the_released_code():
    net = AlexNet(out_indices=AlexNet.OUTPUTS).eval()
    outs = dict(zip(AlexNet.OUTPUTS, net(torch.rand(1, 3, 224, 224)), strict=True))
    assert outs['conv1'].shape == (1, 64, 55, 55)
    assert outs['conv2'].shape == (1, 192, 27, 27)
    for block in '12':
        pooled = nn.functional.max_pool2d(outs[f'conv{block}'], 3, stride=2)
        assert torch.equal(pooled, outs[f'pool{block}'])


@torch.no_grad()
def test_alexnet_integers_are_outputs_after_the_pools_of_the_same_weights():
    names = AlexNet(out_indices=('conv1', 'pool1', 'conv2', 'pool2')).eval()
    integers = AlexNet(out_indices=(0, 1), frozen_stages=2).eval()
    integers.load_state_dict(names.state_dict())
    image = torch.rand(1, 3, 95, 95)
    _, pool1, _, pool2 = names(image)
    assert all(map(torch.equal, integers(image), (pool1, pool2)))
    assert AlexNet(out_indices=('conv2',), frozen_stages=2).stages == ('conv1', 'conv2')


def test_alexnet_has_no_groups_dropout_or_response_norm():
    net = AlexNet()
    assert all(m.groups == 1 for m in net.modules() if isinstance(m, nn.Conv2d))
    kinds = {type(m).__name__ for m in net.modules()}
    assert kinds == {
        'AlexNet',
        'Sequential',
        'Conv2d',
        'BatchNorm2d',
        'ReLU',
        'MaxPool2d',
        'Linear',
        'BatchNorm1d',
    }


def test_alexnet_drops_elements_after_fc6_and_fc7_in_training():
    torch.manual_seed(0)
    net = AlexNet(norm_cfg=None, convolutional=True, fc_channels=512, dropout=0.5)
    assert list(net.state_dict()) == list(AlexNet(norm_cfg=None, fc_channels=512).state_dict())
    for fc in (net.fc6, net.fc7):
        maps = fc.train().dropout(torch.ones(1, 512, 4, 4))
        assert 0.4 < (maps == 0).float().mean() < 0.6
        assert 0 < (maps[0, 0] == 0).sum() < 16  # elements, not channels
        assert fc.eval().dropout(torch.ones(3)).tolist() == [1, 1, 1]


def test_alexnet_without_norm_has_biases():
    net = AlexNet(norm_cfg=None)
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == 7
    assert all(layer.bias is not None for layer in layers)
    assert not [m for m in net.modules() if 'BatchNorm' in type(m).__name__]


def test_alexnet_frozen_stages_keep_weights_and_statistics():
    net = AlexNet(out_indices=(4,), frozen_stages=3)
    net.train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
    net(torch.rand(2, 3, 95, 95))[0].square().mean().backward()
    optimizer.step()
    for name, value in net.state_dict().items():
        # a bias in front of batch norm has no gradient but rounding
        if not name.endswith('conv.bias'):
            frozen = name.startswith(('conv1', 'conv2', 'conv3'))
            assert torch.equal(value, before[name]) == frozen, name


def test_alexnet_fc6_rejects_other_sizes_than_224():
    with pytest.raises(
        ValueError, match=r'pool5 of size \(7, 7\) does not match fc6, which requires \(6, 6\)'
    ):
        AlexNet(out_indices=(6,)).eval()(torch.rand(1, 3, 256, 256))


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(out_indices=(8,)), r'out_indices=\(8,\) are not between 0 and 7'),
        (dict(out_indices=('conv1', 'pool3')), "'pool3' is not one of conv1, pool1"),
        (dict(out_indices=('pool1', 'conv1')), 'outputs in the order of the network'),
        (dict(out_indices=()), r'out_indices=\(\) are not one or more'),
        (dict(out_indices=(2,), frozen_stages=4), r'frozen_stages=4 is not between -1 and 3'),
    ],
)
def test_alexnet_rejects_invalid_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        AlexNet(**arguments)


@torch.no_grad()
def test_convolutional_alexnet_equals_fc7_on_every_window():
    """Without padding, each output is fc7 of the linear form on a 224×224 window."""
    torch.manual_seed(0)
    net = AlexNet(norm_cfg=None, fc_channels=64)
    net.init_weights()
    conv = AlexNet(norm_cfg=None, convolutional=True, fc_channels=64).eval()
    conv.load_state_dict(fully_convolutional(net.state_dict()))
    images = torch.randn(2, 3, 256, 288)
    maps = conv(images)[0]
    assert maps.shape == (2, 64, 2, 3)
    for row in range(2):
        for column in range(3):
            window = images[:, :, 32 * row : 32 * row + 224, 32 * column : 32 * column + 224]
            expected = net(window)[0]
            error = (conv(window)[0].flatten(1) - expected).abs().max() / expected.std()
            assert error < 1e-4
    assert maps.std() > 0


@torch.no_grad()
def test_convolutional_alexnet_shift_by_32_pixels_shifts_the_map_by_one():
    torch.manual_seed(0)
    net = AlexNet(norm_cfg=None, convolutional=True, padding=96, fc_channels=64).eval()
    image = torch.randn(1, 3, 512, 512)
    before, after = net(image)[0], net(image.roll((32, 32), (2, 3)))[0]
    assert before.shape == (1, 64, 16, 16)
    # positions whose receptive field excludes the border
    torch.testing.assert_close(after[:, :, 8:10, 8:10], before[:, :, 7:9, 7:9])
    assert not torch.allclose(after[:, :, 8:10, 8:10], before[:, :, 8:10, 8:10])


@torch.no_grad()
@pytest.mark.parametrize('corner', [(352, 320), (371, 333)])
def test_convolutional_alexnet_output_is_aligned_with_the_input(corner):
    """The centroid of the upsampled average of a bright square is that of the square."""
    net = AlexNet(norm_cfg=None, convolutional=True, padding=96, fc_channels=64).eval()
    for name, parameter in net.named_parameters():
        parameter.fill_(0 if name.endswith('bias') else 1 / parameter[0].numel())
    (top, left), side = corner, 48
    image = torch.zeros(1, 3, 768, 768)
    image[:, :, top : top + side, left : left + side] = 1
    scores = net(image)[0].mean(1, keepdim=True)
    assert scores.shape == (1, 1, 24, 24)
    scores = resize(scores, size=(768, 768), mode='bilinear', align_corners=False)[0, 0]
    scores /= scores.sum()
    position = torch.arange(768.0)
    assert (scores.sum(1) * position).sum() == pytest.approx(top + (side - 1) / 2, abs=1)
    assert (scores.sum(0) * position).sum() == pytest.approx(left + (side - 1) / 2, abs=1)


def test_alexnet_starts_from_pytorchs_initialisation_in_both_forms():
    torch.manual_seed(0)
    for convolutional in (False, True):
        net = AlexNet(norm_cfg=None, convolutional=convolutional, fc_channels=512)
        net.init_weights()
        for fc, fan_in in ((net.fc6.fc, 9216), (net.fc7.fc, 512)):  # uniform
            assert fc.weight.std().item() == pytest.approx((3 * fan_in) ** -0.5, rel=0.01)
