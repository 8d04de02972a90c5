"""Conversions of files."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers import authors_nin, lively
from mmpretrain.models import ConvNeXt, MobileNetV2, ResNet

from mmrot.datasets import ImageFolder
from mmrot.errors import UserError
from mmrot.models import NIN, AlexNet
from mmrot.weights.checkpoint import load_checkpoint, sha256
from mmrot.weights.convert import (
    convert_absorb_bn,
    convert_backbone,
    convert_fully_convolutional,
    convert_import,
    convert_rescale,
    write_weights,
)
from mmrot.weights.images import read_images, sample_paths
from mmrot.weights.network import build_network


def photos(folder: Path) -> ImageFolder:
    return ImageFolder(data_root=str(folder), pipeline=[])


@pytest.fixture
def pretrained(tmp_path):
    """A checkpoint of pretraining, of a small NIN."""
    torch.manual_seed(0)
    network = lively(NIN(4, 12))
    state = {f'backbone.{key}': value for key, value in network.state_dict().items()}
    state.update({'head.fc.weight': torch.rand(4, 12), 'head.fc.bias': torch.rand(4)})
    path = tmp_path / 'epoch_3.pth'
    torch.save({'state_dict': state, 'meta': {'epoch': 3}}, path)
    return path


def test_converted_file_has_hash_in_name_and_source_in_meta(pretrained, tmp_path):
    path = convert_backbone(str(pretrained), str(tmp_path / 'out/nin.pth'))
    assert path.name == f'nin-{sha256(path)[:8]}.pth'
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # nothing half-written
    checkpoint = load_checkpoint(path)
    assert checkpoint['meta']['source'] == 'epoch_3.pth'
    assert checkpoint['meta']['source_sha256'] == sha256(pretrained)
    source = load_checkpoint(pretrained)['state_dict']
    assert len(checkpoint['state_dict']) == 72
    for key, value in checkpoint['state_dict'].items():
        assert torch.equal(value, source[f'backbone.{key}'])


@torch.no_grad()
def test_absorbed_and_rescaled_network_computes_the_same_up_to_scale(
    pretrained, photo_folder, tmp_path
):
    absorbed = convert_absorb_bn(str(pretrained), str(tmp_path / 'absorbed.pth'))
    state = load_checkpoint(absorbed)['state_dict']
    assert 'head.fc.weight' in state  # the whole model, without its norms
    assert not any('.bn.' in key for key in state)
    rescaled = convert_rescale(str(absorbed), str(tmp_path / 'r.pth'), str(photo_folder), count=5)
    images = read_images(sample_paths(photos(photo_folder), 5), 'mmrot.NIN')
    source = load_checkpoint(pretrained)['state_dict']
    before = build_network({k[9:]: v for k, v in source.items() if k.startswith('backbone.')})(
        images
    )[-1]
    after = build_network(load_checkpoint(rescaled)['state_dict'])(images)[-1]
    torch.testing.assert_close(after / after.norm(), before / before.norm(), rtol=1e-3, atol=1e-5)
    assert after.transpose(0, 1).flatten(1).std(1, correction=0).mean() == pytest.approx(
        1, abs=1e-3
    )
    with pytest.raises(ValueError, match=r'mmrot\.NIN has batch norm'):
        convert_rescale(str(pretrained), str(tmp_path / 'r.pth'), str(photo_folder))


def test_images_are_normalised_as_in_pretraining(tmp_path):
    colour = np.zeros((40, 60, 3), np.uint8)
    colour[:] = (113.9, 123.0, 125.3 + 63)  # BGR: red is one deviation above the mean
    cv2.imwrite(str(tmp_path / 'a.png'), colour)
    paths = sample_paths(photos(tmp_path), 64)
    images = read_images(paths, 'mmrot.NIN')
    assert images.shape == (1, 3, 32, 32)
    torch.testing.assert_close(
        images.mean((0, 2, 3)), torch.tensor([1.0, 0.0, 0.0]), atol=0.02, rtol=0
    )
    assert read_images(paths, 'mmrot.AlexNet').shape == (1, 3, 224, 224)
    ramp = np.arange(600, dtype=np.float32)[None, :, None] / 600 * 255
    cv2.imwrite(str(tmp_path / 'b.png'), np.broadcast_to(ramp, (300, 600, 3)).astype(np.uint8))
    crops = [read_images([str(tmp_path / 'b.png')], 'mmrot.AlexNet', seed=s) for s in (0, 0, 1)]
    assert torch.equal(crops[0], crops[1])
    assert not torch.equal(crops[0], crops[2])
    more = [read_images([str(tmp_path / 'b.png')], 'mmrot.AlexNet', seed=s) for s in range(2, 10)]
    slopes = [(crop[..., -1] - crop[..., 0]).mean().item() for crop in (*crops, *more)]
    assert min(slopes) < 0 < max(slopes)  # some are mirrored
    with pytest.raises(ValueError, match=r'mmpretrain\.ResNet: expected one of mmrot\.AlexNet'):
        read_images(paths, 'mmpretrain.ResNet')


def test_imported_checkpoint_converts_again(tmp_path, run_tool, capsys):
    network, file = authors_nin(4)
    torch.save(file, tmp_path / 'model_net_epoch200')
    run_tool('convert', 'import', tmp_path / 'model_net_epoch200', tmp_path / 'nin.pth')
    path = capsys.readouterr().out.splitlines()[-1]
    state = load_checkpoint(path)['state_dict']
    for key, value in network.state_dict().items():
        if 'num_batches' not in key:
            assert torch.equal(state[f'backbone.{key}'], value)
    run_tool('convert', 'backbone', path, tmp_path / 'again.pth')
    assert (tmp_path / capsys.readouterr().out.splitlines()[-1]).exists()


@pytest.mark.parametrize('style', ['torchvision', 'timm'])
def test_resnet_is_exported_without_classifier(style, tmp_path):
    network = ResNet(18)
    network.init_weights()
    torch.save(network.state_dict(), tmp_path / 'r18.pth')
    path = convert_backbone(str(tmp_path / 'r18.pth'), str(tmp_path / 'out.pth'), style)
    assert 'fc.weight' not in load_checkpoint(path)['state_dict']


def test_files_that_do_not_fit_raise(pretrained, tmp_path):
    checkpoint = load_checkpoint(pretrained)
    checkpoint['state_dict']['backbone.block1.layer9.conv.weight'] = torch.ones(1)
    torch.save(checkpoint, tmp_path / 'odd.pth')
    with pytest.raises(ValueError, match=r'1 unexpected keys: block1\.layer9\.conv\.weight'):
        convert_backbone(str(tmp_path / 'odd.pth'), str(tmp_path / 'out.pth'))
    del checkpoint['state_dict']['backbone.block1.layer9.conv.weight']
    del checkpoint['state_dict']['backbone.block3.layer1.bn.running_var']
    torch.save(checkpoint, tmp_path / 'odd.pth')
    with pytest.raises(
        ValueError, match=r'lacks 1 of the 72 keys .*block3\.layer1\.bn\.running_v'
    ):
        convert_backbone(str(tmp_path / 'odd.pth'), str(tmp_path / 'out.pth'))
    torch.save({'fc.weight': torch.ones(1)}, tmp_path / 'odd.pth')
    with pytest.raises(ValueError, match='AlexNet or NIN'):
        convert_absorb_bn(str(tmp_path / 'odd.pth'), str(tmp_path / 'out.pth'))
    with pytest.raises(ValueError, match='expected a RotNet in the format'):
        convert_import(str(tmp_path / 'odd.pth'), str(tmp_path / 'out.pth'))
    file = authors_nin(3)[1]
    file['network']['_feature_blocks.3.Classifier.weight'] = torch.rand(4, 99)
    torch.save(file, tmp_path / 'odd.pth')
    with pytest.raises(ValueError, match='the head expects 99 features, the backbone has 12'):
        convert_import(str(tmp_path / 'odd.pth'), str(tmp_path / 'out.pth'))
    with pytest.raises(ValueError, match=r'out\.pt: expected a file name that ends in \.pth'):
        write_weights({}, str(tmp_path / 'out.pt'), str(pretrained), 'nothing')
    assert not list(tmp_path.glob('*out*'))


@torch.no_grad()
def test_half_precision_is_absorbed_in_float32(pretrained, tmp_path):
    checkpoint = load_checkpoint(pretrained)
    state = {
        k: v.half() if v.is_floating_point() else v for k, v in checkpoint['state_dict'].items()
    }
    torch.save({'state_dict': state}, tmp_path / 'half.pth')
    path = convert_absorb_bn(str(tmp_path / 'half.pth'), str(tmp_path / 'out.pth'))
    assert {v.dtype for v in load_checkpoint(path)['state_dict'].values()} == {torch.float32}


def test_backbone_of_another_project_needs_config(tmp_path, run_tool, capsys):
    config = tmp_path / 'c.py'
    config.write_text(
        "_base_ = 'mmrot::rotnet/resnet50_8xb16_steplr_70e_in1k.py'\n"
        "model = dict(backbone=dict(_delete_=True, type='mmpretrain.ConvNeXt', arch='atto'))\n"
    )
    network = ConvNeXt('atto')
    state = {f'backbone.{key}': value for key, value in network.state_dict().items()}
    torch.save({'state_dict': {**state, 'head.fc.bias': torch.rand(4)}}, tmp_path / 'x.pth')
    command = ('convert', 'backbone', tmp_path / 'x.pth', tmp_path / 'out.pth')
    with pytest.raises(SystemExit, match=r'expected the weights of .* backbone --config'):
        run_tool(*command)
    run_tool(*command, '--config', config)
    written = Path(capsys.readouterr().out.split()[-1])
    assert load_checkpoint(written)['state_dict'].keys() == network.state_dict().keys()
    config.write_text(config.read_text().replace('atto', 'femto'))
    with pytest.raises(SystemExit, match='does not match ConvNeXt, 126 of 126 keys'):
        run_tool(*command, '--config', config)


def test_backbone_of_mmpretrain_is_exported(tmp_path, capsys):
    """The config in the checkpoint says which network it is."""
    network = MobileNetV2()
    state = {f'backbone.{key}': value for key, value in network.state_dict().items()}
    text = (
        "model = dict(backbone=dict(type='mmpretrain.MobileNetV2'), type='mmrot.RotationPred')\n"
        'test_dataloader = dict(dataset=dict(pipeline=[]))\n'
    )
    source, out = str(tmp_path / 'x.pth'), str(tmp_path / 'out.pth')
    torch.save({'state_dict': {**state, 'head.fc.bias': torch.rand(4)}}, source)
    with pytest.raises(UserError, match=r'expected the weights of .* backbone --config'):
        convert_backbone(source, out, 'mmpretrain')
    checkpoint = {'state_dict': {**state, 'head.fc.bias': torch.rand(4)}, 'meta': dict(cfg=text)}
    torch.save(checkpoint, source)
    written = load_checkpoint(convert_backbone(source, out, 'mmpretrain'))['state_dict']
    assert written.keys() == network.state_dict().keys()
    written = load_checkpoint(convert_backbone(source, out, 'torchvision'))['state_dict']
    assert 'features.18.0.weight' in written
    with pytest.raises(
        UserError, match=r"Use --style mmpretrain, .* type='mmpretrain\.MobileNetV2'"
    ):
        convert_backbone(source, out, 'mmdet')


@torch.no_grad()
def test_other_eps_in_config_is_requested(pretrained, tmp_path, run_tool):
    """The config in the file is searched, not run."""
    checkpoint = load_checkpoint(pretrained)
    checkpoint['meta']['cfg'] = (
        "model = dict(norm_cfg=dict(type='BN', eps=1e-2))\nraise SystemExit"
    )
    torch.save(checkpoint, tmp_path / 'eps.pth')
    with pytest.raises(SystemExit, match=r'eps\.pth has a norm_cfg with eps=0\.01\. .* --eps'):
        run_tool('convert', 'absorb-bn', tmp_path / 'eps.pth', tmp_path / 'out.pth')
    path = convert_absorb_bn(str(tmp_path / 'eps.pth'), str(tmp_path / 'out.pth'), eps=1e-2)
    before = NIN(4, 12, norm_cfg=dict(type='BN', eps=1e-2)).eval()
    state = checkpoint['state_dict']
    before.load_state_dict({k[9:]: v for k, v in state.items() if k.startswith('backbone.')})
    images = torch.randn(2, 3, 32, 32)
    absorbed = load_checkpoint(path)['state_dict']
    after = build_network({k[9:]: v for k, v in absorbed.items() if k.startswith('backbone.')})
    expected = before(images)[-1]
    assert (after(images)[-1] - expected).abs().max() < 1e-5 * expected.abs().max()


def test_conversion_error_names_the_file(tmp_path, run_tool, photo_folder):
    torch.save({'conv1.conv.weight': torch.tensor(1.0)}, tmp_path / 'scalar.pth')
    with pytest.raises(SystemExit, match=r'scalar\.pth: '):
        run_tool('convert', 'backbone', tmp_path / 'scalar.pth', tmp_path / 'out.pth')
    torch.save({3: torch.ones(1)}, tmp_path / 'number.pth')
    with pytest.raises(SystemExit, match=r'number\.pth: expected a RotNet in .* found 3'):
        run_tool('convert', 'import', tmp_path / 'number.pth', tmp_path / 'out.pth')
    with pytest.raises(ValueError, match='--count 0: expected 1 or more'):
        sample_paths(photos(photo_folder), 0)


def test_fully_convolutional_network_is_recognised(pretrained, tmp_path):
    torch.manual_seed(0)
    network = AlexNet(norm_cfg=None, fc_channels=64)
    torch.save({'state_dict': network.state_dict()}, tmp_path / 'alexnet.pth')
    path = convert_fully_convolutional(
        str(tmp_path / 'alexnet.pth'), str(tmp_path / 'convolutional.pth')
    )
    state = load_checkpoint(path)['state_dict']
    assert build_network(state).convolutional
    assert torch.equal(state['fc6.fc.weight'].flatten(1), network.fc6.fc.weight)
    with pytest.raises(ValueError, match='expected an AlexNet up to fc7'):
        convert_fully_convolutional(str(pretrained), str(tmp_path / 'nin.pth'))
