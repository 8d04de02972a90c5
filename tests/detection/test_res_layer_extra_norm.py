import pytest
import torch

pytest.importorskip('mmdet')
from mmpretrain.models import ResNet

from mmrot.detection import ResLayerExtraNorm
from mmrot.weights.state_dict import load_module


def test_res_layer_extra_norm_normalises_layer4():
    torch.manual_seed(0)
    source = ResNet(18)
    head = ResLayerExtraNorm(18, norm_eval=False)
    assert load_module(head.layer4, source.state_dict(), 'layer4', 'file') > 0
    maps = torch.randn(6, 256, 14, 14)
    source.eval()
    head.eval()
    head.extra_norm.weight.data.fill_(2.0)
    head.extra_norm.running_mean.fill_(1.0)
    expected = (source.layer4(maps) - 1) / (1 + 1e-5) ** 0.5 * 2
    torch.testing.assert_close(head(maps), expected)
    assert head(maps).shape == (6, 512, 7, 7)


def test_res_layer_extra_norm_has_the_width_of_bottlenecks():
    head = ResLayerExtraNorm(50, norm_cfg=dict(type='SyncBN'))
    assert isinstance(head.extra_norm, torch.nn.SyncBatchNorm)
    assert head.extra_norm.num_features == 2048
    own = {key.partition('.')[0] for key in head.state_dict()}
    assert own == {'layer4', 'extra_norm'}
