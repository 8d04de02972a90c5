import pytest
import torch
from mmengine.registry import MODELS
from torch import Tensor, nn

from mmrot.errors import UserError
from mmrot.weights import export_backbone
from mmrot.weights.library_names import (
    build_torchvision_network,
    keys_left_out,
    rename_for_library,
)

CONVNEXT = dict(type='mmpretrain.ConvNeXt', arch='tiny')
VIT = dict(type='mmpretrain.VisionTransformer', arch='b', img_size=224)
SWIN = dict(type='mmpretrain.SwinTransformer', arch='tiny')
slow = pytest.mark.slow


def build(config: dict) -> nn.Module:
    """Build a network in which every parameter matters."""
    torch.manual_seed(0)
    network = MODELS.build(config)
    for name, parameter in network.named_parameters():
        if parameter.ndim < 2 or 'bias_table' in name:
            nn.init.normal_(parameter, 0.5, 0.2)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    network.eval()
    return network


def pooled(output: Tensor) -> Tensor:
    return output.mean((2, 3)) if output.ndim == 4 else output


@pytest.mark.parametrize(
    'config',
    [
        dict(type='mmpretrain.ResNet', depth=18),
        dict(type='mmpretrain.MobileNetV2'),
        dict(type='mmdet.MobileNetV2', out_indices=(7,)),
        pytest.param(CONVNEXT, marks=slow),
        pytest.param(VIT, marks=slow),
        pytest.param(SWIN, marks=slow),
        pytest.param({**SWIN, 'out_indices': (1, 3)}, marks=slow),
    ],
    ids=lambda config: config['type'],
)
@torch.no_grad()
def test_exported_network_computes_the_same_in_torchvision(config):
    pytest.importorskip(config['type'].partition('.')[0])
    network = build(config)
    weights = export_backbone(network.state_dict(), 'torchvision')
    images = torch.rand(1, 3, 224, 224)
    expected, got = pooled(network(images)[-1]), build_torchvision_network(weights)(images)
    torch.testing.assert_close(got.flatten(1), expected, atol=1e-4, rtol=1e-4)
    assert expected.std() > 1e-3


@slow
@pytest.mark.parametrize(
    ('config', 'name'),
    [
        (dict(type='mmpretrain.MobileNetV2'), 'mobilenetv2_100'),
        (dict(type='mmdet.MobileNetV2', out_indices=(7,)), 'mobilenetv2_100'),
        (dict(type='mmpretrain.EfficientNet', arch='b0'), 'tf_efficientnet_b0'),
        (CONVNEXT, 'convnext_tiny'),
        (VIT, 'vit_base_patch16_224'),
        (SWIN, 'swin_tiny_patch4_window7_224'),
    ],
    ids=lambda value: value if isinstance(value, str) else '',
)
@torch.no_grad()
def test_exported_network_computes_the_same_in_timm(config, name):
    pytest.importorskip(config['type'].partition('.')[0])
    timm = pytest.importorskip('timm')
    network = build(config)
    theirs = timm.create_model(name, num_classes=0).eval()
    theirs.load_state_dict(export_backbone(network.state_dict(), 'timm'))
    images = torch.rand(1, 3, 224, 224)
    expected = pooled(network(images)[-1])
    torch.testing.assert_close(theirs(images), expected, atol=1e-4, rtol=1e-4)


# Names as timm 1.0.31 has them.
@pytest.mark.parametrize(
    ('config', 'names'),
    [
        (
            dict(type='mmpretrain.MobileNetV2'),
            {
                'conv1.bn.weight': 'bn1.weight',
                'layer1.0.conv.1.conv.weight': 'blocks.0.0.conv_pw.weight',
                'layer2.1.conv.2.bn.bias': 'blocks.1.1.bn3.bias',
                'conv2.conv.weight': 'conv_head.weight',
            },
        ),
        (
            dict(type='mmpretrain.EfficientNet', arch='b0'),
            {
                'layers.0.conv.weight': 'conv_stem.weight',
                'layers.1.0.linear_conv.bn.weight': 'blocks.0.0.bn2.weight',
                'layers.4.3.se.conv1.conv.bias': 'blocks.4.0.se.conv_reduce.bias',
                'layers.5.4.linear_conv.conv.weight': 'blocks.6.0.conv_pwl.weight',
                'layers.6.bn.bias': 'bn2.bias',
            },
        ),
    ],
    ids=lambda value: value.get('type', ''),
)
def test_exported_network_has_the_names_of_timm(config, names):
    network = MODELS.build(config)
    state = dict(network.state_dict())
    renamed = rename_for_library(state, 'timm')
    assert len(renamed) == len(state)
    for old, new in names.items():
        assert renamed[new] is state[old]


def test_norms_of_inner_outputs_are_left_out():
    state = MODELS.build(
        dict(type='mmpretrain.ConvNeXt', arch='atto', out_indices=(1, 3))
    ).state_dict()
    assert keys_left_out(state, 'timm') == ['norm1.weight', 'norm1.bias']
    assert not [key for key in rename_for_library(state, 'timm') if key.startswith('norm')]


def test_networks_that_cannot_be_converted_raise():
    efficientnet = MODELS.build(dict(type='mmpretrain.EfficientNet', arch='b0')).state_dict()
    with pytest.raises(UserError, match=r'EfficientNet pads other sides .* tf_efficientnet\.'):
        export_backbone(efficientnet, 'torchvision')
    vgg = MODELS.build(dict(type='mmpretrain.VGG', depth=11)).state_dict()
    with pytest.raises(UserError, match='the names of timm are known for ResNet, MobileNetV2, '):
        export_backbone(vgg, 'timm')
    narrow = MODELS.build(dict(type='mmpretrain.MobileNetV2', widen_factor=0.5)).state_dict()
    with pytest.raises(UserError, match='torchvision has no network with these weights'):
        build_torchvision_network(export_backbone(narrow, 'torchvision'))
