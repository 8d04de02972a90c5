import pytest
import torch

import mmrot
from mmrot.models import NIN, AlexNet, ResNet
from mmrot.weights.state_dict import load_backbone

CONFIG = mmrot.config_path('benchmarks/classification/nin4_conv_cifar10.py')
TINY = [
    'train_dataloader.batch_size=4',
    'train_dataloader.num_workers=0',
    'val_dataloader.num_workers=0',
    'test_dataloader.num_workers=0',
    'train_dataloader.dataset.indices=8',
    'val_dataloader.dataset.indices=4',
    'train_cfg.max_epochs=1',
    'default_hooks.checkpoint.interval=1',
    'model.backbone.width=12',
    'model.head.probes.conv2.in_channels=12',
    'model.head.probes.conv2.width=12',
]


def pretrained(**kwargs) -> dict[str, torch.Tensor]:
    """The state dict of a whole pretraining model."""
    net = NIN(**{'num_blocks': 4, 'width': 12, **kwargs})
    net.init_weights()
    state = {f'backbone.{key}': value for key, value in net.state_dict().items()}
    return {**state, 'head.fc.weight': torch.rand(4, 12), 'head.fc.bias': torch.rand(4)}


def test_whole_checkpoint_and_bare_backbone_load_alike():
    state = pretrained()
    bare = {key[9:]: value for key, value in state.items() if key.startswith('backbone.')}
    for source in (state, bare):
        net = NIN(4, 12, out_indices=(1,))  # blocks 3 and 4 are not built
        left = load_backbone(net, source, 'file')
        assert left == sum('block3' in key or 'block4' in key for key in bare)
        for key, value in net.state_dict().items():
            assert torch.equal(value, bare[key])


def test_what_is_left_over_must_be_whole_stages():
    """Of a deeper network, or with norms that are not built here, nothing is taken."""
    for source, net, message in (
        (ResNet(101), ResNet(50), r'no place for \d+ keys: layer3\.6\.conv1\.weight'),
        (NIN(4, 12), NIN(4, 12, norm_cfg=None), 'lacks 12 of the 24 keys'),
        (
            AlexNet(out_indices=(4,)),
            AlexNet(out_indices=(4,), norm_cfg=None),
            r'25 keys: conv1\.bn',
        ),
        (NIN(5, 12), NIN(4, 12), r'no place for 18 keys: block5\.layer1\.conv\.weight'),
    ):
        with pytest.raises(ValueError, match=message):
            load_backbone(net, source.state_dict(), 'file')
    # the classifier of a bare ResNet is a stage of its own
    state = {**ResNet(18).state_dict(), 'fc.weight': torch.rand(4, 512)}
    assert load_backbone(ResNet(18), state, 'file') == 1


def test_values_that_are_not_finite():
    state = NIN(3, 12).state_dict()
    state['block2.layer1.conv.weight'][0, 0, 0, 0] = float('nan')
    with pytest.raises(ValueError, match=r'not finite: block2\.layer1\.conv\.weight'):
        load_backbone(NIN(3, 12), state, 'file')


@pytest.mark.parametrize(
    ('state', 'message'),
    [
        (
            {'fc.weight': torch.rand(2)},
            r'file lacks 54 of the 54 keys of the backbone NIN: block1',
        ),
        (
            {k: v for k, v in pretrained().items() if 'block2.layer3' not in k},
            r'file lacks 6 of the 36 keys of the backbone NIN: block2\.layer3\.conv\.weight; .*; '
            'and 1 more',
        ),
        (
            pretrained(width=18),
            r'does not fit the backbone NIN, 30 of 36 keys: block1\.layer1\.conv\.weight has '
            r'\(18, 3, 5, 5\), expected \(12, 3, 5, 5\)',
        ),
    ],
)
def test_what_does_not_fit_is_listed_and_nothing_is_loaded(state, message):
    net = NIN(4, 12, out_indices=(1,))
    before = {key: value.clone() for key, value in net.state_dict().items()}
    message = message.replace('54', str(len(before))) if '54' in message else message
    with pytest.raises(ValueError, match=message):
        load_backbone(net, state, 'file')
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


@pytest.mark.usefixtures('_any_cifar10')
def test_probing_leaves_the_backbone_as_it_was_pretrained(data_root, tmp_path, run_tool):
    state = pretrained()
    torch.save({'state_dict': state}, tmp_path / 'pretrained.pth')
    options = [*TINY, f'data_root={data_root / "cifar10"}']
    backbone_from = ['--backbone', tmp_path / 'pretrained.pth', '--cfg-options', *options]
    run_tool('train', CONFIG, '--work-dir', tmp_path / 'a', *backbone_from)
    trained = torch.load(tmp_path / 'a/epoch_1.pth', weights_only=False)['state_dict']
    backbone = [key for key in trained if key.startswith('backbone.')]
    assert len(backbone) == 36
    assert all(torch.equal(trained[key], state[key]) for key in backbone)

    # fine-tuning, the switch of Table 3, moves it
    run_tool(
        'train',
        CONFIG,
        '--work-dir',
        tmp_path / 'b',
        *backbone_from,
        'model.backbone.frozen_stages=-1',
    )
    tuned = torch.load(tmp_path / 'b/epoch_1.pth', weights_only=False)['state_dict']
    assert not any(torch.equal(tuned[key], state[key]) for key in backbone if 'weight' in key)

    # testing with a head that was not trained
    with pytest.raises(SystemExit, match=r'pretrained\.pth does not fit the model'):
        run_tool(
            'test',
            CONFIG,
            tmp_path / 'pretrained.pth',
            '--work-dir',
            tmp_path / 'c',
            '--cfg-options',
            *options,
        )
    # with the head that was: no checkpoint of the backbone is asked for
    run_tool(
        'test',
        CONFIG,
        tmp_path / 'a/epoch_1.pth',
        '--work-dir',
        tmp_path / 'd',
        '--cfg-options',
        *options,
    )


@pytest.mark.usefixtures('_any_cifar10')
@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ([], "--backbone: expected a file, or 'random'"),
        (['--backbone', 'none.pth'], 'none.pth can not be found'),
    ],
)
def test_no_checkpoint_is_one_line(option, message, data_root, tmp_path, run_tool):
    options = ['--cfg-options', *TINY, f'data_root={data_root / "cifar10"}']
    with pytest.raises(SystemExit, match=message):
        run_tool('train', CONFIG, '--work-dir', tmp_path, *option, *options)
    assert not list(tmp_path.glob('*.py'))
