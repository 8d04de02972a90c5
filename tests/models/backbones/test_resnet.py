import pytest
import torch
from mmpretrain.models import ResNet as MMPretrainResNet

from mmrot.errors import UserError
from mmrot.models import ResNet


def test_resnet_returns_the_stem_and_the_stages_of_mmpretrain():
    theirs = MMPretrainResNet(18, out_indices=(0, 1, 2, 3))
    ours = ResNet(18)
    theirs.eval()
    ours.eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.rand(2, 3, 64, 64)
    stem, *stages = ours(images)
    expected = torch.relu(theirs.norm1(theirs.conv1(images)))
    torch.testing.assert_close(stem, expected)
    assert stem.shape == (2, 64, 32, 32)
    for stage, expected in zip(stages, theirs(images), strict=True):
        torch.testing.assert_close(stage, expected)


def test_resnet_returns_selected_maps_and_freezes():
    net = ResNet(18, out_indices=(0, 4), frozen_stages=4)
    net.train()
    outs = net(torch.rand(1, 3, 64, 64))
    assert [tuple(x.shape) for x in outs] == [(1, 64, 32, 32), (1, 512, 2, 2)]
    assert not any(x.requires_grad for x in outs)
    assert not any(m.training for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert len(ResNet(18, out_indices=(4,))(torch.rand(1, 3, 64, 64))) == 1


def test_resnet_selects_maps_by_name():
    net, by_index = (ResNet(18, out_indices=i) for i in (('stem', 'layer2'), (0, 2)))
    by_index.load_state_dict(net.state_dict())
    net.eval()
    by_index.eval()
    images = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(net(images), by_index(images))
    assert net.outputs == by_index.outputs == ['stem', 'layer2']


@pytest.mark.parametrize(
    ('indices', 'message'),
    [
        ((), 'not one or more outputs'),
        ((0,), 'the stem only'),
        ((5,), 'not between 0 and 4'),
        ((2, 1), 'in the order of the network'),
        ((-1, 2), 'not between 0 and 4'),
        (('layer5',), "'layer5' is not one of stem, layer1"),
    ],
)
def test_resnet_rejects_invalid_out_indices(indices, message):
    with pytest.raises(UserError, match=message):
        ResNet(18, out_indices=indices)
