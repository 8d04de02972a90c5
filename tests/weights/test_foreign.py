"""Import of files with the keys of each code base."""

import pytest
import torch
from helpers import authors_nin, lively
from mmpretrain.models import ResNet as MMPretrainResNet
from torch import nn

from mmrot.models import NIN, AlexNet
from mmrot.rotation import rotated_copies
from mmrot.weights import import_rotnet
from mmrot.weights.foreign import guess_format, permute_head


class AuthorsAlexNet(nn.Module):
    """The modules of the authors' AlexNet."""

    def __init__(self, head: bool = True, bias: bool = False) -> None:
        super().__init__()

        def conv(*args, **kwargs):
            layer = nn.Conv2d(*args, **kwargs)
            return nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels), nn.ReLU())

        pool = nn.MaxPool2d(3, 2)
        convs = [
            conv(3, 64, 11, stride=4, padding=2),
            pool,
            conv(64, 192, 5, padding=2),
            pool,
            conv(192, 384, 3, padding=1),
            conv(384, 256, 3, padding=1),
            conv(256, 256, 3, padding=1),
            pool,
        ]
        fcs = [
            nn.Linear(9216, 4096, bias=bias),
            nn.BatchNorm1d(4096),
            nn.ReLU(),
            nn.Linear(4096, 4096, bias=bias),
            nn.BatchNorm1d(4096),
            nn.ReLU(),
        ]
        if head:
            convs += [nn.Sequential(nn.Flatten(), *fcs), nn.Sequential(nn.Linear(4096, 4))]
        self._feature_blocks = nn.ModuleList(convs)
        self.fcs = fcs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self._feature_blocks:
            x = block(x)
        return x


def split(weights: dict) -> tuple[dict, dict]:
    backbone = {k[9:]: v for k, v in weights.items() if k.startswith('backbone.')}
    return backbone, {k: v for k, v in weights.items() if not k.startswith('backbone.')}


@pytest.mark.parametrize('blocks', [3, 4, 5])
def test_authors_nin_computes_the_same(blocks):
    network, file = authors_nin(blocks)
    assert guess_format(file) == 'authors-nin'
    weights, left_out = import_rotnet(file, 'authors-nin')
    assert not left_out
    backbone, head = split(weights)
    ours = NIN(blocks, 12)
    ours.load_state_dict(backbone)  # strictly
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(ours.eval()(images)[-1], network(images)[-1])
    assert torch.equal(
        head['head.fc.weight'], file['network'][f'_feature_blocks.{blocks}.Classifier.weight']
    )


@torch.no_grad()
def test_authors_alexnet_predicts_the_same():
    theirs = lively(AuthorsAlexNet())
    file = {'epoch': 50, 'network': theirs.state_dict()}
    assert guess_format(file) == 'authors-alexnet'
    weights, _ = import_rotnet(file, 'authors-alexnet')
    backbone, head = split(weights)
    ours = AlexNet().eval()
    ours.load_state_dict(backbone)
    images = torch.randn(2, 3, 224, 224)
    got = nn.functional.linear(ours(images)[-1], head['head.fc.weight'], head['head.fc.bias'])
    torch.testing.assert_close(got, theirs(images), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_vissl_alexnet_with_bias_before_norm_predicts_the_same():
    theirs = lively(AuthorsAlexNet(bias=True))
    trunk = {k: v for k, v in theirs.state_dict().items() if int(k.split('.')[1]) < 8}
    clf = nn.Sequential(*theirs.fcs, theirs._feature_blocks[9][0])
    heads = {f'0.clf.{key}': value for key, value in clf.state_dict().items()}
    model = {'trunk': trunk, 'heads': heads}
    file = {'classy_state_dict': {'base_model': {'model': model}}, 'phase_idx': 104}
    assert guess_format(file) == 'vissl'
    weights, left_out = import_rotnet(file, 'vissl')
    assert not left_out
    backbone, head = split(weights)
    ours = AlexNet().eval()
    ours.load_state_dict(backbone)
    images = torch.randn(2, 3, 224, 224)
    got = nn.functional.linear(ours(images)[-1], head['head.fc.weight'], head['head.fc.bias'])
    torch.testing.assert_close(got, theirs(images), rtol=1e-4, atol=1e-4)

    model['heads'] = {}  # a trunk alone ends with conv5
    backbone, head = split(import_rotnet(file, 'vissl')[0])
    AlexNet(out_indices=(4,)).load_state_dict(backbone)
    assert not head


@pytest.mark.parametrize('last', [8, 10])
def test_vissl_model_state_dict_loads(last):
    """The whole network, or the trunk alone, in ``model_state_dict``."""
    state = {
        key: value
        for key, value in AuthorsAlexNet().state_dict().items()
        if int(key.split('.')[1]) < last
    }
    file = {'model_state_dict': state}
    for source in (guess_format(file), 'vissl'):
        backbone, head = split(import_rotnet(file, source)[0])
        AlexNet(out_indices=(4,) if last == 8 else (7,)).load_state_dict(backbone)
        assert len(head) == (0 if last == 8 else 2)


def test_bare_mmselfsup_backbone_loads():
    for prefix in ('', 'backbone.'):
        network, state = resnet_file(prefix)
        file = {'state_dict': state, 'author': 'MMSelfSup'}
        weights, left_out = import_rotnet(file, guess_format(file))
        backbone, head = split(weights)
        network.load_state_dict(backbone)
        assert not head
        assert not left_out


def resnet_file(prefix: str) -> tuple[nn.Module, dict]:
    network = MMPretrainResNet(18)
    network.init_weights()
    network.eval()
    return network, {f'{prefix}{key}': value for key, value in network.state_dict().items()}


@torch.no_grad()
def test_vissl_resnet_loads():
    _, trunk = resnet_file('_feature_blocks.')
    heads = {'0.clf.0.weight': torch.rand(4, 512), '0.clf.0.bias': torch.rand(4)}
    file = {'classy_state_dict': {'base_model': {'model': {'trunk': trunk, 'heads': heads}}}}
    weights, _ = import_rotnet(file, guess_format(file))
    backbone, head = split(weights)
    ours = MMPretrainResNet(18)
    ours.load_state_dict(backbone)
    assert torch.equal(head['head.fc.weight'], heads['0.clf.0.weight'])


@torch.no_grad()
@pytest.mark.parametrize('version', ['0.x', '1.x'])
def test_mmselfsup_head_predicts_the_same_rotation(version):
    """MMSelfSup 1.x rotates clockwise: its class 1 is 270° counter-clockwise."""
    network, state = resnet_file('backbone.')
    torch.manual_seed(0)
    fc = nn.Linear(512, 4)
    state.update({f'head.fc_cls.{key}': value for key, value in fc.state_dict().items()})
    meta = {'mmcv_version': '1.4'} if version == '0.x' else {'mmengine_version': '0.3'}
    file = {'state_dict': state, 'meta': meta}
    assert guess_format(file) == f'mmselfsup-{version}'
    weights, _ = import_rotnet(file, guess_format(file))
    head = split(weights)[1]

    image = torch.rand(1, 3, 64, 64)
    clockwise = version == '1.x'
    their_copies = [torch.rot90(image, -k if clockwise else k, (2, 3)) for k in range(4)]
    our_copies = rotated_copies(image, (0, 90, 180, 270))
    for k in range(4):
        theirs = fc(network(their_copies[k])[-1].mean((2, 3)))[0, k]  # score of class k
        ours = nn.functional.linear(
            network(our_copies[-k % 4 if clockwise else k][None])[-1].mean((2, 3)),
            head['head.fc.weight'],
            head['head.fc.bias'],
        )[0, -k % 4 if clockwise else k]
        torch.testing.assert_close(ours, theirs)


def test_permuting_head_twice_restores_it():
    head = {'head.fc.weight': torch.rand(4, 2), 'head.fc.bias': torch.rand(4)}
    once = permute_head(head)
    assert torch.equal(once['head.fc.weight'][1], head['head.fc.weight'][3])
    for key, value in permute_head(once).items():
        assert torch.equal(value, head[key])


def test_import_of_other_files_raises():
    state = {'backbone.conv1.weight': torch.ones(1), 'head.fc_cls.weight': torch.ones(1)}
    with pytest.raises(ValueError, match=r'Pass --format mmselfsup-0\.x \(counter-clockwise'):
        guess_format(state)
    both = {'mmcv_version': '2.0.0', 'mmengine_version': '0.3'}
    assert guess_format({'state_dict': state, 'meta': both}) == 'mmselfsup-1.x'
    with pytest.raises(
        ValueError, match=r'expected a RotNet in the format authors-nin.*found a\.'
    ):
        guess_format({'a': torch.ones(1)})
    file = authors_nin(3)[1]
    file['network']['_feature_blocks.0.extra'] = torch.ones(1)
    with pytest.raises(
        ValueError, match=r'authors-nin: unexpected keys _feature_blocks\.0\.extra'
    ):
        import_rotnet(file, 'authors-nin')
    with pytest.raises(ValueError, match='authors-alexnet: unexpected keys _feature_blocks'):
        import_rotnet(file, 'authors-alexnet')
    with pytest.raises(ValueError, match=r'format vissl: expected base_model'):
        import_rotnet({'classy_state_dict': {}}, 'vissl')
    state = resnet_file('backbone.')[1]
    state['head.fc_cls.weight'] = torch.rand(1000, 512)
    with pytest.raises(ValueError, match='the classifier has 1000 classes, expected 4 rotations'):
        import_rotnet({'state_dict': state}, 'mmselfsup-0.x')
    with pytest.raises(ValueError, match="format 'keras': expected one of authors-nin"):
        import_rotnet(file, 'keras')


def test_import_of_other_methods_raises():
    """MoCo's files have a backbone, too."""
    file = {'backbone.conv1.weight': torch.ones(1), 'neck.fc.weight': torch.ones(1)}
    with pytest.raises(ValueError, match=r'expected a RotNet of MMSelfSup, .* found neck\.fc'):
        guess_format({'state_dict': file})
    file = {'backbone.conv1.weight': torch.ones(1), 'head.fc.weight': torch.ones(4, 1)}
    with pytest.raises(ValueError, match=r'found head\.fc\.weight'):
        guess_format({'state_dict': file, 'meta': {'mmengine_version': '0.10'}})
