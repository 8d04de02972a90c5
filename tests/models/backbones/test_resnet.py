import pytest
import torch
from mmpretrain.models import ResNet as MMPretrainResNet

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


@pytest.mark.parametrize('indices', [(), (0,), (5,), (2, 1), (-1, 2)])
def test_resnet_rejects_invalid_out_indices(indices):
    with pytest.raises(ValueError, match=r'out_indices=.*are not increasing indices from 0'):
        ResNet(18, out_indices=indices)
