import pytest
import torch
from torch import nn

from mmrot.models import NIN


def conv_bn(in_channels: int, out_channels: int, size: int) -> int:
    """Parameters of a bias-free convolution and its batch norm."""
    return in_channels * out_channels * size**2 + 2 * out_channels


def expected_parameters(num_blocks: int) -> int:
    """Parameters at width 192, from the layers that the released code lists."""
    block1 = conv_bn(3, 192, 5) + conv_bn(192, 160, 1) + conv_bn(160, 96, 1)
    block2 = conv_bn(96, 192, 5) + 2 * conv_bn(192, 192, 1)
    others = conv_bn(192, 192, 3) + 2 * conv_bn(192, 192, 1)
    return block1 + block2 + (num_blocks - 2) * others


@pytest.mark.parametrize('num_blocks', [3, 4, 5])
def test_nin_has_published_map_sizes_and_parameters(num_blocks):
    net = NIN(num_blocks, out_indices=range(num_blocks))
    outs = net(torch.rand(2, 3, 32, 32))
    shapes = [tuple(out.shape) for out in outs]
    assert shapes == [(2, 96, 16, 16)] + [(2, 192, 8, 8)] * (num_blocks - 1)
    assert sum(p.numel() for p in net.parameters()) == expected_parameters(num_blocks)
    assert sum(isinstance(m, nn.Conv2d) for m in net.modules()) == 3 * num_blocks


def test_nin_pools_max_then_average():
    net = NIN(4)
    pools = {name: type(m) for name, m in net.named_modules() if 'Pool' in type(m).__name__}
    assert pools == {'block1.pool': nn.MaxPool2d, 'block2.pool': nn.AvgPool2d}


def test_nin_width_scales_all_blocks():
    outs = NIN(4, width=48, out_indices=(0, 1))(torch.rand(1, 3, 16, 16))
    assert [tuple(out.shape) for out in outs] == [(1, 24, 8, 8), (1, 48, 4, 4)]


def test_nin_out_indices_select_blocks_of_the_same_network():
    net, both, short = NIN(4, 12).eval(), NIN(4, 12, (1, 3)).eval(), NIN(4, 12, (1,)).eval()
    both.load_state_dict(net.state_dict())
    # blocks after the last selected one are not built
    assert short.load_state_dict(net.state_dict(), strict=False).missing_keys == []
    assert [name for name, _ in short.named_children()] == ['block1', 'block2']
    image = torch.rand(1, 3, 32, 32)
    second, last = both(image)
    assert torch.equal(net(image)[0], last)
    assert torch.equal(short(image)[0], second)


def test_nin_without_norm_has_biases():
    net = NIN(3, width=6, norm_cfg=None)
    assert not [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(m.bias is not None for m in net.modules() if isinstance(m, nn.Conv2d))
    assert all(m.bias is None for m in NIN(3, width=6).modules() if isinstance(m, nn.Conv2d))


def test_nin_frozen_blocks_keep_weights_and_statistics():
    net = NIN(4, width=12, frozen_stages=2)
    net.train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
    net(torch.rand(4, 3, 16, 16))[0].square().mean().backward()
    optimizer.step()
    for name, value in net.state_dict().items():
        frozen = name.startswith(('block1', 'block2'))
        assert torch.equal(value, before[name]) == frozen, name
    assert all(p.grad is None for p in net.block1.parameters())
    assert not net.block2.training
    assert net.block3.training


@torch.no_grad()
def test_nin_starts_from_pytorchs_initialisation():
    """It decides the random baselines: N(0, 2 / fan-out) gives block 2 a scale of 0.13 to 0.2."""
    torch.manual_seed(0)
    net = NIN(4, out_indices=(1,))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.init_weights()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    conv = net.block2.layer1.conv  # 5×5, 96 input channels, uniform
    assert conv.weight.std().item() == pytest.approx((1 / (3 * 25 * 96)) ** 0.5, rel=0.02)
    (block2,) = net.eval()(torch.randn(8, 3, 32, 32))
    assert 0.004 < block2.std() < 0.008


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(num_blocks=2), 'num_blocks=2 is not 3, 4 or 5'),
        (dict(width=100), 'width=100 is not a multiple of 6'),
        (dict(out_indices=(4,)), r'out_indices=\(4,\) are not between 0 and 3'),
        (dict(out_indices=(-1,)), r'out_indices=\(-1,\) are not between 0'),
        (
            dict(out_indices=(2, 1)),
            r'out_indices=\(2, 1\) are not .* in the order',
        ),
        (dict(out_indices=()), r'out_indices=\(\) are not one or more'),
        (dict(frozen_stages=5), r'frozen_stages=5 is not between -1 and 4'),
    ],
)
def test_nin_rejects_invalid_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        NIN(**arguments)
