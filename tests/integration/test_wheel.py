"""A wheel holds configs, .mim/ and tools, and works outside the checkout."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from helpers import ROOT

import mmrot
from mmrot import cli

pytestmark = [pytest.mark.slow, pytest.mark.family]
OUTSIDE = """
import sys
from mmengine.config import Config
import mmrot
from mmrot import cli

assert mmrot.__file__.startswith(sys.argv[1]), mmrot.__file__
assert mmrot.config_path('rotnet/nin4_digits.py').startswith(sys.argv[1])
text = Config.fromfile('text_style.py')
assert text.model.backbone.type == 'mmrot.AlexNet' and text.train_cfg.max_epochs == 30
lazy = Config.fromfile('python_style.py')
assert lazy.model.backbone.type == 'mmrot.NIN'
print(*mmrot.list_configs())
"""

# Every command says what it does, as does a tool, and one trains with a config from the wheel.
COMMANDS = """
import runpy
import sys
from contextlib import suppress
from mmrot.cli import COMMANDS, main

tool = sys.argv[1]
for command in COMMANDS:
    with suppress(SystemExit):
        main([command, '--help'])
sys.argv = [tool, '--help']
with suppress(SystemExit):
    runpy.run_path(tool, run_name='__main__')
main(['train', 'rotnet/nin4_digits.py', '--no-validate', '--cfg-options', 'log_level=ERROR',
      'train_cfg.max_epochs=1', 'train_dataloader.dataset.indices=4',
      'train_dataloader.batch_size=4', 'model.backbone.width=12', 'model.head.in_channels=12'])
"""


@pytest.fixture(scope='module')
def wheel(tmp_path_factory) -> Path:
    """Build a wheel from a copy, so that the checkout stays as it is."""
    copy = tmp_path_factory.mktemp('source') / 'mmrot'
    skip = shutil.ignore_patterns(
        '.git', '.venv*', 'data', 'work_dirs', '*.egg-info', '*_cache', '*cache__'
    )
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


@pytest.fixture(scope='module')
def installed(wheel, tmp_path_factory) -> Path:
    """Install the wheel into a folder of its own."""
    site = tmp_path_factory.mktemp('site')
    pip = [sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', '--no-index', '--target']
    subprocess.run([*pip, site, wheel], check=True, capture_output=True)
    return site


def run_outside(installed: Path, cwd: Path, *command: object) -> str:
    """Run Python outside the checkout with the installed wheel, and return its output."""
    run = subprocess.run(
        [sys.executable, '-W', 'ignore', *map(str, command)],
        cwd=cwd,
        env={'PYTHONPATH': str(installed), 'PATH': '/usr/bin:/bin', 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_configs_resolve_outside_the_checkout(installed, tmp_path):
    (tmp_path / 'text_style.py').write_text("_base_ = 'mmrot::rotnet/alexnet_in1k.py'\n")
    (tmp_path / 'python_style.py').write_text(
        'from mmengine.config import read_base\n'
        'with read_base():\n'
        '    from mmrot.configs._base_.models.rotnet_nin import *\n'
    )
    assert run_outside(installed, tmp_path, '-c', OUTSIDE, installed).split() == (
        mmrot.list_configs()
    )


def test_console_script_runs_outside_the_checkout(installed, tmp_path):
    assert run_outside(installed, tmp_path, installed / 'bin/mmrot', 'list').split() == (
        mmrot.list_configs()
    )


def test_commands_and_tools_run_outside_the_checkout(installed, tmp_path):
    tool = installed / 'mmrot/.mim/tools/test.py'
    printed = run_outside(installed, tmp_path, '-c', COMMANDS, tool)
    for command in cli.COMMANDS:
        assert printed.count(f'usage: mmrot {command} ') == 1 + (command == 'test')
    assert (tmp_path / 'work_dirs/nin4_digits/epoch_1.pth').is_file()
