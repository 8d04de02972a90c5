import pytest
import torch
from helpers import shipped
from mmengine.config import Config

import mmrot
from mmrot.errors import UserError
from mmrot.weights.checkpoint_config import checkpoint_config

MODEL = """
model = dict(type='mmrot.RotationPred', backbone=dict(type={type!r}), head=dict(
    type='mmrot.RotationHead', in_channels=192, init_cfg=dict(type='Normal', layer='Linear')))
test_dataloader = dict(dataset=dict(type='x', pipeline=[dict(type={step!r})]))
"""


def read(text: object) -> Config:
    return checkpoint_config(dict(meta=dict(cfg=text)), 'a.pth')


@pytest.mark.parametrize('name', [n for n in mmrot.list_configs() if n.startswith('rotnet')])
def test_config_is_read_as_mmengine_writes_it(name):
    cfg = shipped(name)
    read_again = read(cfg.pretty_text)
    assert read_again.model == cfg.model
    assert read_again.test_dataloader == cfg.test_dataloader


def test_inherited_config_is_read(tmp_path):
    path = tmp_path / 'own.py'
    path.write_text("_base_ = 'mmrot::rotnet/resnet50_8xb16_steplr_70e_in1k.py'\n")
    assert read(Config.fromfile(path).pretty_text).model.backbone.depth == 50


def test_code_in_the_config_is_not_run(tmp_path):
    victim = tmp_path / 'victim'
    text = MODEL.format(type='mmrot.NIN', step='mmpretrain.PackInputs')
    text += f'x = open({str(victim)!r}, "w")\nopen({str(victim)!r}, "w")\n'
    assert 'x' not in read(text)
    assert not victim.exists()


@pytest.mark.parametrize(
    'name',
    ['os.system', 'mmengine.dump', 'mmrot.cli.main', 'subprocess', 'NoSuchNetwork', 'Normal.x'],
)
def test_types_that_are_not_registered_raise(name):
    with pytest.raises(UserError, match=f'has the type {name!r}, which is not registered'):
        read(MODEL.format(type=name, step='mmpretrain.PackInputs'))
    with pytest.raises(UserError, match=f'has the type {name!r}, which is not registered'):
        read(MODEL.format(type='mmrot.NIN', step=name))


@pytest.mark.parametrize(
    'text',
    [None, 3, '', 'model = print(1)', 'model = 3', 'model = (', 'model = ' + '(' * 5000, '\0'],
    ids=str,
)
def test_checkpoint_without_a_config_raises(text):
    with pytest.raises(UserError, match=r'a\.pth contains no config'):
        read(text)


def test_get_model_reads_the_config_in_a_checkpoint(tmp_path):
    model = mmrot.get_model('rotnet_nin4_digits')
    text = model._config.pretty_text
    torch.save(dict(meta=dict(cfg=text), state_dict=model.state_dict()), tmp_path / 'a.pth')
    loaded = mmrot.get_model(None, tmp_path / 'a.pth')
    assert loaded.angles == model.angles
    assert torch.equal(loaded.head.fc.weight, model.head.fc.weight)
