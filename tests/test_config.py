import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT, inheriting, shipped, skip_without_host
from mmengine.config import Config
from mmengine.utils import get_installed_path

import mmrot
from mmrot.config import find_config, read_config
from mmrot.errors import UserError

DIGITS = mmrot.config_path('rotnet/nin4_digits.py')
OWN = """
_base_ = 'mmrot::{name}'
model = dict(backbone=dict(width=96), head=dict(in_channels=96))
"""
PYTHON_STYLE = """
from mmengine.config import read_base
with read_base():
    from mmrot.configs._base_.models.{model} import *
model.update(angles=(0, 180))
"""


def test_list_configs_names_experiments_without_fragments():
    names = mmrot.list_configs()
    assert 'rotnet/alexnet_in1k.py' in names
    assert not [name for name in names if '_base_' in name]
    assert [name for name in names if '/' not in name] == ['rotnet_alexnet_in1k.py']


def without_scopes(value):
    if isinstance(value, dict):
        return {k: without_scopes(v) for k, v in value.items() if k != '_scope_'}
    return [without_scopes(v) for v in value] if isinstance(value, list | tuple) else value


@pytest.mark.slow
@pytest.mark.parametrize('name', [name for name in mmrot.list_configs() if '/' in name])
def test_inherited_config_differs_only_in_scope(name):
    skip_without_host(name)
    theirs, ours = Config.fromfile(inheriting(name)), shipped(name)
    assert without_scopes(theirs.to_dict()) == without_scopes(ours.to_dict())


@pytest.mark.parametrize(
    'path', sorted((ROOT / 'configs/_base_').rglob('*.py')), ids=lambda path: path.stem
)
def test_fragment_has_no_base_and_no_import(path):
    statements = ast.parse(path.read_text()).body[1:]  # after the docstring
    assert all(isinstance(statement, ast.Assign) for statement in statements)
    assert '_base_' not in {target.id for s in statements for target in s.targets}


def test_config_path_finds_experiments_and_fragments():
    path = mmrot.config_path('rotnet/alexnet_in1k.py')
    assert Config.fromfile(path).model.backbone.type == 'mmrot.AlexNet'
    assert shipped('_base_/models/rotnet_nin.py').model.head


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('rotnet/alexnet_in1.py', r'alexnet_in1.*rotnet/alexnet_in1k.py'),
        (__file__, 'mmrot has no config'),
        ('../version.py', 'mmrot has no config'),
    ],
    ids=['misspelt', 'absolute', 'outside'],
)
def test_config_path_of_a_missing_config_raises(name, message):
    with pytest.raises(FileNotFoundError, match=message):
        mmrot.config_path(name)


@pytest.mark.parametrize('name', ['rotnet/nin4_cifar10.py', '_base_/models/rotnet_nin.py'])
def test_inheriting_config_overrides_settings(tmp_path, name):
    path = tmp_path / 'own.py'
    path.write_text(OWN.format(name=name))
    cfg = Config.fromfile(path)
    assert cfg.model.backbone == dict(type='mmrot.NIN', num_blocks=4, width=96)


@pytest.mark.parametrize(
    ('model', 'backbone'), [('rotnet_nin', 'mmrot.NIN'), ('rotnet_alexnet', 'mmrot.AlexNet')]
)
def test_python_style_config_imports_a_fragment(tmp_path, model, backbone):
    if not Path(get_installed_path('mmrot')).exists():
        pytest.skip("OpenMMLab's mmengine does not find an editable mmrot")
    path = tmp_path / 'own.py'
    path.write_text(PYTHON_STYLE.format(model=model))
    cfg = Config.fromfile(path)
    assert cfg.model.backbone.type == backbone
    assert tuple(cfg.model.angles) == (0, 180)


def test_mmseg_base_is_found(tmp_path):
    pytest.importorskip('mmseg')
    path = tmp_path / 'own.py'
    path.write_text("_base_ = 'mmseg::_base_/models/fcn_r50-d8.py'\n")
    assert Config.fromfile(path).model.type == 'EncoderDecoder'


@pytest.mark.slow
def test_types_are_registered_without_custom_imports():
    """In a fresh interpreter, as under a host's own launcher."""
    code = (
        'from mmengine.registry import MODELS, DATASETS, TRANSFORMS, METRICS, HOOKS\n'
        'import sys\n'
        "assert not any(name.startswith('mmrot') for name in sys.modules)\n"
        "print(MODELS.get('mmrot.AlexNet').__module__, DATASETS.get('mmrot.Digits').__module__,\n"
        "      TRANSFORMS.get('mmrot.RotatedCopies').__module__,\n"
        "      METRICS.get('mmrot.RotationAccuracy').__module__,\n"
        "      HOOKS.get('mmrot.ProgressLineHook').__module__)\n"
    )
    run = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code], capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines()[-1].split() == [
        'mmrot.models.backbones.alexnet',
        'mmrot.datasets.digits',
        'mmrot.datasets.transforms.rotated_copies',
        'mmrot.evaluation.rotation_accuracy',
        'mmrot.engine.hooks.progress_line_hook',
    ]


@pytest.mark.parametrize('name', ['rotnet/nin4_digits.py', 'mmrot::rotnet/nin4_digits.py', DIGITS])
def test_find_config_accepts_files_and_names(name):
    assert find_config(name) == DIGITS


def test_find_config_prefers_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'rotnet').mkdir()
    (tmp_path / 'rotnet/nin4_digits.py').write_text('')
    assert find_config('rotnet/nin4_digits.py') == 'rotnet/nin4_digits.py'


def test_find_config_suggests_close_names():
    with pytest.raises(UserError, match=r'Did you mean rotnet/nin4_digits\.py'):
        find_config('rotnet/nin4_digit.py')
    with pytest.raises(UserError, match=r'/none\.py is neither a file nor one of .*`\.$'):
        find_config('/none.py')


@pytest.mark.parametrize(
    ('code', 'message'),
    [
        ('model = dict(\n', "line 1: '(' was never closed"),
        ('x = 1\nlr = rate / 2\n', "line 2: NameError: name 'rate' is not defined"),
    ],
)
def test_error_in_a_config_names_its_line(code, message, tmp_path):
    (tmp_path / 'own.py').write_text(code)
    with pytest.raises(UserError, match=re.escape(f'own.py, {message}')):
        read_config(str(tmp_path / 'own.py'))


def test_missing_package_of_a_base_names_the_line_that_installs_it(tmp_path, monkeypatch):
    def missing(*_: object) -> None:
        raise ImportError('Package mmdet is not installed.')

    (tmp_path / 'own.py').write_text("_base_ = 'mmdet::a/b.py'\n")
    monkeypatch.setattr(Config, 'fromfile', missing)
    monkeypatch.setattr('mmrot.config.find_spec', lambda _: None)
    with pytest.raises(UserError, match=r'own\.py needs mmdet: pip install onedl-mmdetection'):
        read_config(str(tmp_path / 'own.py'))


@pytest.mark.parametrize('name', ['nin4_digit.py', 'rotnet/nin4_digit.py', 'nin4_digits'])
def test_missing_config_suggests_the_closest(name):
    with pytest.raises(UserError, match=r'Did you mean rotnet/nin4_digits\.py'):
        find_config(name)
