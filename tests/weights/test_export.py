import pytest
import torch
from mmpretrain.models import ResNet as MMPretrainResNet
from torchvision.models import resnet18

from mmrot.models import NIN, AlexNet
from mmrot.weights import export_backbone, network_config


def whole(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    state = {f'backbone.{key}': value for key, value in network.state_dict().items()}
    return {**state, 'head.fc.weight': torch.rand(4, 8)}


@pytest.mark.parametrize('style', ['mmpretrain', 'mmdet', 'mmseg', 'torchvision', 'timm'])
@torch.no_grad()
def test_exported_resnet_computes_the_same_in_torchvision(style):
    network = MMPretrainResNet(18)
    network.init_weights()
    network.eval()
    out = export_backbone(whole(network), style)
    theirs = resnet18(weights=None).eval()
    theirs.fc = torch.nn.Identity()
    theirs.load_state_dict(out)  # strictly
    images = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(theirs(images), network(images)[-1].mean((2, 3)))


def test_exported_nin_loads_and_other_styles_raise():
    state = whole(NIN(3, 12))
    out = export_backbone(state)
    assert out.keys() == NIN(3, 12).state_dict().keys()
    assert export_backbone({f'backbone.{k}': v for k, v in out.items()}).keys() == out.keys()
    for style in ('timm', 'mmdet'):
        with pytest.raises(ValueError, match=f'only mmrot has AlexNet and NIN .* not {style}'):
            export_backbone(state, style)
    with pytest.raises(ValueError, match="style 'keras': expected one of mmrot, mmpretrain"):
        export_backbone(state, 'keras')


@pytest.mark.parametrize(
    ('network', 'config'),
    [
        (
            NIN(5, 24, norm_cfg=None),
            dict(type='mmrot.NIN', num_blocks=5, width=24, out_indices=(4,), norm_cfg=None),
        ),
        (
            NIN(4, 12, out_indices=(1,)),
            dict(
                type='mmrot.NIN',
                num_blocks=3,
                width=12,
                out_indices=(1,),
                norm_cfg=dict(type='BN'),
            ),
        ),
        (
            AlexNet(out_indices=(4,)),
            dict(
                type='mmrot.AlexNet',
                out_indices=(4,),
                norm_cfg=dict(type='BN'),
                convolutional=False,
            ),
        ),
        (MMPretrainResNet(34), dict(type='mmpretrain.ResNet', depth=34)),
        (MMPretrainResNet(50), dict(type='mmpretrain.ResNet', depth=50)),
    ],
)
def test_network_config_is_inferred_from_keys(network, config):
    assert network_config(network.state_dict()) == config


def test_network_config_of_unknown_network_raises():
    with pytest.raises(
        ValueError, match=r"expected the weights of mmrot's AlexNet or NIN, .*found fc\.w"
    ):
        network_config({'fc.weight': torch.ones(1)})
