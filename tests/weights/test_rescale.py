import pytest
import torch
from torch import nn

from mmrot.models import NIN, AlexNet
from mmrot.weights import absorb_bn, random_rescaled, rescale


def uneven_nin() -> NIN:
    """Return a network without batch norm whose layers have very different scales."""
    torch.manual_seed(0)
    network = NIN(3, 12, norm_cfg=None, init_cfg=dict(type='Kaiming', layer='Conv2d'))
    network.init_weights()
    with torch.no_grad():
        for index, module in enumerate(m for m in network.modules() if isinstance(m, nn.Conv2d)):
            module.weight *= 10.0 ** ((-1) ** index)
            nn.init.normal_(module.bias, std=0.1)
    return network


def rates(
    network: nn.Module,
    images: torch.Tensor,
    top: nn.Module | None = None,
    draws: int = 200,
) -> torch.Tensor:
    """Compute the size of the gradient relative to the weights of each layer, by sampling."""
    weights = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    top = top or nn.Identity()
    torch.manual_seed(123)
    squares = 0
    for _ in range(draws):
        output = top(network(images)[-1])
        gradients = torch.autograd.grad((output * torch.randn_like(output)).sum(), weights)
        squares = squares + torch.stack([g.square().mean() for g in gradients])
    return (squares / draws / torch.stack([w.square().mean() for w in weights])).sqrt().detach()


def test_rescaled_layers_have_equal_rates_and_proportional_outputs():
    network, images = uneven_nin(), torch.randn(4, 3, 16, 16)
    before, spread = network(images)[-1].detach(), rates(network, images)
    assert spread.max() / spread.min() > 50
    out = rescale(network.state_dict(), images)
    after = NIN(3, 12, norm_cfg=None)
    after.load_state_dict(out)
    got = after(images)[-1].detach()
    factor = got.norm() / before.norm()
    torch.testing.assert_close(got, before * factor, rtol=1e-4, atol=1e-5)
    # unit scale: the mean over channels of the deviation over the rest
    assert got.transpose(0, 1).flatten(1).std(1, correction=0).mean() == pytest.approx(1, abs=1e-4)
    even = rates(after, images)
    assert even.max() / even.min() < 1.5  # random draws on both sides
    # each layer has a single factor
    for key, value in network.state_dict().items():
        if key.endswith('weight'):
            ratio = out[key] / value
            assert ratio.max() / ratio.min() == pytest.approx(1, abs=1e-4)


def test_rescaling_is_invariant_to_earlier_scales():
    network, images = uneven_nin(), torch.randn(4, 3, 16, 16)
    first = rescale(network.state_dict(), images)
    state = {key: value.clone() for key, value in network.state_dict().items()}
    later = False
    for key in state:
        if key == 'block2.layer1.conv.weight':
            state[key] *= 7
            later = True
        elif later and key.endswith('bias'):
            state[key] *= 7
    second = rescale(state, images)
    for key in first:
        torch.testing.assert_close(first[key], second[key], rtol=1e-4, atol=1e-5)


def test_rescaling_batch_norm_or_dead_network_raises():
    state = NIN(3, 12).state_dict()
    images = torch.randn(2, 3, 16, 16)
    with pytest.raises(ValueError, match=r'mmrot\.NIN has batch norm, which cancels any scale'):
        rescale(state, images)
    dead = {key: torch.zeros_like(value) for key, value in absorb_bn(state).items()}
    with pytest.raises(ValueError, match='the outputs have standard deviation 0'):
        rescale(dead, images)


def test_random_rescaled_channels_have_equal_spread_and_a_bias():
    """In the first layer, which the equal rates scale by one factor: mean 0.1, deviation 1."""
    torch.manual_seed(0)
    images = 3 * torch.randn(8, 3, 16, 16)
    network = NIN(3, 12, norm_cfg=None)
    state = random_rescaled(network.state_dict(), images)
    network.load_state_dict(state)
    channels = network.block1.layer1.conv(images).detach().transpose(0, 1).flatten(1)
    torch.testing.assert_close(channels.mean(1), channels.std(1) / 10, rtol=1e-2, atol=1e-4)
    assert channels.std(1).max() / channels.std(1).min() == pytest.approx(1, abs=1e-3)
    even = rates(network, images)
    assert even.max() / even.min() < 1.6
    other = random_rescaled(state, images, seed=1)
    assert not torch.equal(other['block1.layer1.conv.weight'], state['block1.layer1.conv.weight'])


def test_rescaling_alexnet_equalises_a_new_classifier_as_well():
    """Without the classifier, N(0, 0.01²) at first, the features would have unit scale."""
    torch.manual_seed(0)
    network = AlexNet(norm_cfg=None, fc_channels=32)
    images = torch.randn(4, 3, 224, 224)
    before = network(images)[0].detach()  # (4, 32)
    classifier = nn.Linear(32, 1000)
    uneven = rates(network, images, classifier, draws=8)
    assert uneven.max() / uneven.min() > 3
    network.load_state_dict(rescale(network.state_dict(), images))
    even = rates(network, images, classifier, draws=8)
    assert even.max() / even.min() < 1.6
    after = network(images)[0].detach()
    torch.testing.assert_close(
        after, before * (after.norm() / before.norm()), rtol=1e-4, atol=1e-5
    )
    assert after.std(0, correction=0).mean() != pytest.approx(1, abs=0.2)
