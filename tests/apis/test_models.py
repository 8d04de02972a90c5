import pytest
import torch
from helpers import shipped

import mmrot
from mmrot.errors import UserError
from mmrot.models import RotationPred


def save(model: torch.nn.Module, path) -> str:
    torch.save(dict(state_dict=model.state_dict()), path)
    return str(path)


@pytest.mark.parametrize(
    'config',
    [
        'rotnet_nin4_digits',
        'rotnet/nin4_digits.py',
        mmrot.config_path('rotnet/nin4_digits.py'),
        shipped('rotnet/nin4_digits.py'),
    ],
    ids=['model', 'config', 'path', 'Config'],
)
def test_get_model_finds_configs(config):
    model = mmrot.get_model(config)
    assert isinstance(model, RotationPred)
    assert not model.training
    assert model.data_preprocessor.mean.flatten().tolist() == pytest.approx([77.8] * 3)


def test_get_model_loads_every_weight(tmp_path):
    source = mmrot.get_model('rotnet_nin4_digits')
    model = mmrot.get_model('rotnet_nin4_digits', save(source, tmp_path / 'a.pth'))
    for key, value in model.state_dict().items():
        assert torch.equal(value, source.state_dict()[key])


def test_get_model_refuses_what_does_not_fit(tmp_path):
    checkpoint = save(mmrot.get_model('rotnet_nin4_digits').backbone, tmp_path / 'a.pth')
    with pytest.raises(UserError, match=r'a\.pth lacks .* keys of RotationPred: backbone\.block1'):
        mmrot.get_model('rotnet_nin4_digits', checkpoint)
    with pytest.raises(UserError, match=r'a\.pth contains no config'):
        mmrot.get_model(None, checkpoint)
    with pytest.raises(UserError, match='Did you mean rotnet/nin4_digits'):
        mmrot.get_model('rotnet/nin4_digit.py')
    with pytest.raises(UserError, match='expected a config or a checkpoint'):
        mmrot.get_model(None)


def test_list_models_matches_names():
    assert 'rotnet_alexnet_in1k' in mmrot.list_models()
    assert mmrot.list_models('rotnet_nin?_cifar') == [
        'rotnet_nin3_cifar10',
        'rotnet_nin4_cifar10',
        'rotnet_nin5_cifar10',
    ]
    assert mmrot.list_models('vgg') == []
