import pytest
import torch
from helpers import lively
from torch import nn

from mmrot.errors import UserError
from mmrot.models import NIN, AlexNet
from mmrot.weights import absorb_bn
from mmrot.weights.absorb_bn import check_norm_eps


@pytest.mark.parametrize(
    ('build', 'size'),
    [
        (lambda **kwargs: NIN(4, 24, out_indices=(0, 1, 2, 3), **kwargs), 32),
        (lambda **kwargs: AlexNet(out_indices=range(8), fc_channels=64, **kwargs), 224),
    ],
)
@torch.no_grad()
def test_absorbed_network_computes_the_same_at_every_stage(build, size):
    torch.manual_seed(0)
    before = lively(build())
    after = build(norm_cfg=None).eval()
    after.load_state_dict(absorb_bn(before.state_dict()))  # strictly
    images = torch.randn(2, 3, size, size)
    for expected, got in zip(before(images), after(images), strict=True):
        error = (expected - got).abs().max() / expected.abs().max()
        assert error < 1e-5


@torch.no_grad()
def test_absorb_bn_of_chain_worked_by_hand():
    chain = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1), nn.Linear(1, 1)).eval()
    chain[0].weight.fill_(2.0)
    chain[1].weight.fill_(3.0)
    chain[1].bias.fill_(5.0)
    chain[1].running_mean.fill_(1.0)
    chain[1].running_var.fill_(4.0)
    out = absorb_bn(chain.state_dict(), eps=0.0)
    # 3 (2x - 1) / 2 + 5 = 3x + 3.5
    assert {key: value.item() for key, value in out.items()} == {
        '0.weight': 3.0,
        '0.bias': 3.5,
        '2.weight': chain[2].weight.item(),
        '2.bias': chain[2].bias.item(),
    }


@pytest.mark.parametrize(
    ('network', 'message'),
    [
        (nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1)), 'batch norm 0 does not .* 3 outp'),
        (nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(4)), 'batch norm 1 does not .* 4 outp'),
        (NIN(norm_cfg=None, width=12), 'no batch norm to absorb'),
    ],
)
def test_absorb_bn_without_chain_raises(network, message):
    with pytest.raises(UserError, match=message):
        absorb_bn(network.state_dict())


@pytest.mark.parametrize(
    ('text', 'found'),
    [
        ("norm_cfg = dict(type='BN', eps=0.01)", 0.01),
        ("norm_cfg=dict(\n    eps=1e-3,\n    type='BN')", 0.001),
        ("model = dict(backbone={'norm_cfg': {'type': 'BN', 'eps': 0.01}})", 0.01),
        ("norm_cfg=dict(type='BN'), optimizer=dict(type='AdamW', eps=1e-08)", None),
        ("model = dict(norm_cfg=dict(type='BN', eps=1e-5))", None),
        ('norm_cfg = dict(eps=eps)', None),
    ],
)
def test_check_norm_eps_finds_other_values_in_config(text, found):
    checkpoint = {'meta': {'cfg': text}}
    if found is None:
        check_norm_eps(checkpoint, 'x.pth')
    else:
        with pytest.raises(UserError, match=rf'x\.pth has a norm_cfg with eps={found}\. .* --eps'):
            check_norm_eps(checkpoint, 'x.pth')
