"""A wheel holds configs, .mim/ and tools, and works outside the checkout."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from helpers import ROOT

import mmrot

OUTSIDE = """
import sys
from mmengine.config import Config
import mmrot

assert mmrot.__file__.startswith(sys.argv[1]), mmrot.__file__
assert mmrot.config_path('rotnet/nin4_digits.py').startswith(sys.argv[1])
text = Config.fromfile('text_style.py')
assert text.model.backbone.type == 'mmrot.AlexNet' and text.train_cfg.max_epochs == 30
lazy = Config.fromfile('python_style.py')
assert lazy.model.backbone.type == 'mmrot.NIN'
print(*mmrot.list_configs())
"""


@pytest.fixture(scope='module')
def wheel(tmp_path_factory) -> Path:
    """Build a wheel from a copy, so that the checkout stays as it is."""
    copy = tmp_path_factory.mktemp('source') / 'mmrot'
    skip = shutil.ignore_patterns('.git', '.venv*', 'data', 'work_dirs', '*.egg-info', '*cache*')
    shutil.copytree(ROOT, copy, symlinks=True, ignore=skip)
    out = tmp_path_factory.mktemp('wheel')
    pip = [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation']
    subprocess.run([*pip, '-q', '-w', out, copy], check=True, capture_output=True)
    (built,) = out.glob('mmrot-*.whl')
    return built


def test_contents(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for config in (ROOT / 'configs').rglob('*.py'):
        name = config.relative_to(ROOT / 'configs').as_posix()
        assert {f'mmrot/configs/{name}', f'mmrot/.mim/configs/{name}'} <= names
    for tool in (ROOT / 'tools').rglob('*.*'):
        if '__pycache__' not in tool.parts:
            assert f'mmrot/.mim/tools/{tool.relative_to(ROOT / "tools")}' in names
    assert 'mmrot/results/published.json' in names
    assert {'mmrot/.mim/model-index.yml', 'mmrot/.mim/dataset-index.yml'} <= names
    assert 'mmrot/.mim/configs/rotnet/metafile.yml' in names
    assert not [name for name in names if name.startswith('tests') or '__pycache__' in name]


def test_works_outside_the_checkout(wheel, tmp_path):
    site = tmp_path / 'site'
    pip = [sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', '--no-index', '--target']
    subprocess.run([*pip, site, wheel], check=True, capture_output=True)
    (tmp_path / 'text_style.py').write_text("_base_ = 'mmrot::rotnet/alexnet_in1k.py'\n")
    (tmp_path / 'python_style.py').write_text(
        'from mmengine.config import read_base\n'
        'with read_base():\n'
        '    from mmrot.configs._base_.models.rotnet_nin import *\n'
    )
    run = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', OUTSIDE, site],
        cwd=tmp_path,
        env={'PYTHONPATH': str(site), 'PATH': '/usr/bin:/bin'},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == mmrot.list_configs()
    help_text = subprocess.run(
        [sys.executable, '-W', 'ignore', site / 'mmrot/.mim/tools/train.py', '--help'],
        cwd=tmp_path,
        env={'PYTHONPATH': str(site), 'PATH': '/usr/bin:/bin'},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert '--image-folder' in help_text
