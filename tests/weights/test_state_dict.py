import pytest
import torch

from mmrot.errors import UserError
from mmrot.models import NIN, AlexNet, ResNet
from mmrot.weights.state_dict import load_backbone, load_module, split_backbone, state_dict_of


def test_state_dict_of_strips_data_parallel_prefix():
    assert list(state_dict_of({'module.a': torch.ones(1), 'epoch': 3}, 'file')) == ['a']


def test_state_dict_of_checkpoint_without_tensors_raises():
    with pytest.raises(UserError, match='file contains no weights, only epoch'):
        state_dict_of({'epoch': 3}, 'file')


def test_split_backbone_of_whole_model_and_bare_backbone():
    whole = {'backbone.a': torch.ones(1), 'head.b': torch.ones(1)}
    backbone, rest = split_backbone(whole)
    assert (list(backbone), list(rest)) == (['a'], ['head.b'])
    assert split_backbone(backbone) == (backbone, {})


def test_load_backbone_ignores_later_stages():
    state = NIN(4, 12).state_dict()
    net = NIN(4, 12, out_indices=(1,))  # blocks 3 and 4 are not built
    unused = load_backbone(net, state, 'file')
    assert unused == sum('block3' in key or 'block4' in key for key in state)
    for key, value in net.state_dict().items():
        assert torch.equal(value, state[key])
    # the classifier of a bare ResNet is a stage of its own
    state = {**ResNet(18).state_dict(), 'fc.weight': torch.rand(4, 512)}
    assert load_backbone(ResNet(18), state, 'file') == 1


@pytest.mark.parametrize(
    ('source', 'net', 'message'),
    [
        (ResNet(101), ResNet(50), r'\d+ unexpected keys: layer3\.6\.conv1\.weight'),
        (NIN(4, 12), NIN(4, 12, norm_cfg=None), 'lacks 12 of the 24 keys'),
        (
            AlexNet(out_indices=(4,)),
            AlexNet(out_indices=(4,), norm_cfg=None),
            r'25 unexpected keys: conv1\.bn.*absorb-bn',
        ),
        (NIN(5, 12), NIN(4, 12), r'18 unexpected keys: block5\.layer1\.conv\.weight'),
    ],
    ids=['deeper', 'without norm', 'with norm', 'unknown stage'],
)
def test_load_backbone_of_another_network_raises(source, net, message):
    with pytest.raises(UserError, match=message):
        load_backbone(net, source.state_dict(), 'file')


def without_layer(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value for key, value in state.items() if 'block2.layer3' not in key}


@pytest.mark.parametrize(
    ('state', 'message'),
    [
        ({'fc.weight': torch.rand(2)}, r'file lacks 36 of the 36 keys of NIN: block1.*fc\.weight'),
        (
            without_layer(NIN(4, 12).state_dict()),
            r'file lacks 6 of the 36 keys of NIN: block2\.layer3\.conv\.weight, .* and 1 more',
        ),
        (
            NIN(4, 18).state_dict(),
            r'does not match NIN, 30 of 36 keys: block1\.layer1\.conv\.weight has shape '
            r'\(18, 3, 5, 5\), expected \(12, 3, 5, 5\)',
        ),
    ],
    ids=['none', 'missing', 'shape'],
)
def test_load_backbone_that_does_not_fit_raises_and_loads_nothing(state, message):
    net = NIN(4, 12, out_indices=(1,))
    before = {key: value.clone() for key, value in net.state_dict().items()}
    with pytest.raises(UserError, match=message):
        load_backbone(net, state, 'file')
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_load_backbone_with_nan_raises():
    state = NIN(3, 12).state_dict()
    state['block2.layer1.conv.weight'][0, 0, 0, 0] = float('nan')
    with pytest.raises(UserError, match=r'not finite: block2\.layer1\.conv\.weight'):
        load_backbone(NIN(3, 12), state, 'file')


def test_load_module_loads_it_completely():
    state = {'fc6.fc.weight': torch.rand(2, 3), 'fc6.fc.bias': torch.rand(2)}
    module = torch.nn.Linear(3, 2)
    assert load_module(module, state, 'fc6.fc', 'file') == 2
    assert torch.equal(module.weight, state['fc6.fc.weight'])


@pytest.mark.parametrize(
    ('state', 'message'),
    [
        ({'fc.weight': torch.rand(2, 3)}, 'file, fc lacks 1 of the 2 keys of Linear: bias'),
        (
            {'fc.weight': torch.rand(4, 3), 'fc.bias': torch.rand(2)},
            r'weight has shape \(4, 3\), expected \(2, 3\)',
        ),
        (
            {'fc.weight': torch.rand(2, 3), 'fc.bias': torch.rand(2), 'fc.g': torch.rand(1)},
            'file, fc has unexpected keys: g',
        ),
    ],
    ids=['missing', 'shape', 'unexpected'],
)
def test_load_module_that_does_not_fit_raises(state, message):
    with pytest.raises(UserError, match=message):
        load_module(torch.nn.Linear(3, 2), state, 'fc', 'file')
