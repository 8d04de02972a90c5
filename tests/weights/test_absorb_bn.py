import pytest
import torch
from helpers import lively
from torch import nn

from mmrot.models import NIN, AlexNet
from mmrot.weights import absorb_bn


@pytest.mark.parametrize(
    ('build', 'size'),
    [
        (lambda **kwargs: NIN(4, 24, out_indices=(0, 1, 2, 3), **kwargs), 32),
        (lambda **kwargs: AlexNet(out_indices=range(8), **kwargs), 224),
    ],
)
@torch.no_grad()
def test_every_stage_computes_the_same(build, size):
    torch.manual_seed(0)
    before = lively(build())
    after = build(norm_cfg=None).eval()
    after.load_state_dict(absorb_bn(before.state_dict()))  # strictly
    images = torch.randn(2, 3, size, size)
    for expected, got in zip(before(images), after(images), strict=True):
        error = (expected - got).abs().max() / expected.abs().max()
        assert error < 1e-5


@torch.no_grad()
def test_a_chain_by_hand_and_the_head_stays():
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


def test_what_is_no_chain():
    with pytest.raises(ValueError, match='batch norm 0 of 3 channels: expected a convolution'):
        absorb_bn(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1)).state_dict())
    with pytest.raises(ValueError, match='batch norm 1 of 4 channels: expected a convolution'):
        absorb_bn(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(4)).state_dict())
    with pytest.raises(ValueError, match='no batch norm among the weights'):
        absorb_bn(NIN(norm_cfg=None, width=12).state_dict())
