import pytest
import torch
from torch import nn

from mmrot.models import AlexNet

# out channels, in channels, kernel size of conv1 to conv5
CONVS = ((64, 3, 11), (192, 64, 5), (384, 192, 3), (256, 384, 3), (256, 256, 3))


def expected_parameters(stages: int) -> int:
    """Parameters of the first stages: convs with bias, fcs without, batch norm on all."""
    counts = [o * i * k**2 + o + 2 * o for o, i, k in CONVS]
    counts += [0, 9216 * 4096 + 2 * 4096, 4096 * 4096 + 2 * 4096]
    return sum(counts[:stages])


def test_maps_at_224():
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
def test_nothing_is_built_behind_the_last_stage(last):
    net = AlexNet(out_indices=(last,))
    assert [name for name, _ in net.named_children()] == list(AlexNet.STAGES[: last + 1])
    assert sum(p.numel() for p in net.parameters()) == expected_parameters(last + 1)


def test_a_shorter_network_is_the_start_of_a_longer_one():
    long, short = AlexNet(out_indices=(2, 5)).eval(), AlexNet(out_indices=(2,)).eval()
    missing = short.load_state_dict(long.state_dict(), strict=False).missing_keys
    assert missing == []
    image = torch.rand(1, 3, 95, 95)
    assert torch.equal(short(image)[0], long(image)[0])


def test_no_groups_no_dropout_no_response_norm():
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


def test_without_norm_every_layer_has_a_bias():
    net = AlexNet(norm_cfg=None)
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == 7
    assert all(layer.bias is not None for layer in layers)
    assert not [m for m in net.modules() if 'BatchNorm' in type(m).__name__]


def test_frozen_stages_keep_weights_and_statistics():
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


def test_fc6_wants_224():
    with pytest.raises(ValueError, match=r'pool5 of size \(7, 7\): fc6 expects \(6, 6\)'):
        AlexNet(out_indices=(6,)).eval()(torch.rand(1, 3, 256, 256))


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(out_indices=(8,)), r'out_indices=\(8,\): expected indices from 0 to 7'),
        (dict(out_indices=(2,), frozen_stages=4), r'frozen_stages=4: expected -1 \(none\) to 3'),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        AlexNet(**arguments)
