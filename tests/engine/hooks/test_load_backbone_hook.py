import pytest
import torch

import mmrot
from mmrot.engine.hooks import LoadBackboneHook
from mmrot.models import NIN

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


def pretrained() -> dict[str, torch.Tensor]:
    """Return the state dict of a whole pretraining model."""
    net = NIN(4, 12)
    net.init_weights()
    state = {f'backbone.{key}': value for key, value in net.state_dict().items()}
    return {**state, 'head.fc.weight': torch.rand(4, 12), 'head.fc.bias': torch.rand(4)}


@pytest.mark.usefixtures('_any_cifar10')
def test_probing_keeps_the_backbone_and_fine_tuning_changes_it(data_root, tmp_path, run_tool):
    state = pretrained()
    torch.save({'state_dict': state}, tmp_path / 'pretrained.pth')
    options = [*TINY, f'data_root={data_root / "cifar10"}']
    backbone_from = ['--backbone', tmp_path / 'pretrained.pth', '--cfg-options', *options]
    run_tool('train', CONFIG, '--work-dir', tmp_path / 'a', *backbone_from)
    trained = torch.load(tmp_path / 'a/epoch_1.pth', weights_only=False)['state_dict']
    backbone = [key for key in trained if key.startswith('backbone.')]
    assert len(backbone) == 36
    assert all(torch.equal(trained[key], state[key]) for key in backbone)

    # fine-tuning, as in Table 3
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

    # a head that was not trained cannot be tested
    with pytest.raises(SystemExit, match=r'pretrained\.pth does not match the model'):
        run_tool(
            'test',
            CONFIG,
            tmp_path / 'pretrained.pth',
            '--work-dir',
            tmp_path / 'c',
            '--cfg-options',
            *options,
        )
    # testing needs no checkpoint of the backbone
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
        (['--backbone', 'none.pth'], 'none.pth does not exist'),
    ],
)
def test_missing_checkpoint_is_one_line(option, message, data_root, tmp_path, run_tool):
    options = ['--cfg-options', *TINY, f'data_root={data_root / "cifar10"}']
    with pytest.raises(SystemExit, match=message):
        run_tool('train', CONFIG, '--work-dir', tmp_path, *option, *options)
    assert not list(tmp_path.glob('*.py'))


def test_old_name_of_extra_modules_is_accepted():
    hook = LoadBackboneHook(elsewhere={'fc6.fc': 'head.fc'})
    assert hook.extra_modules == {'fc6.fc': 'head.fc'}
