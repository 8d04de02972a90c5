"""tools/setup_env.py with an interpreter that records what it is asked to install."""

import runpy
import sys
from pathlib import Path

import pytest
import torch
from helpers import ROOT

SCRIPT = ROOT / 'tools/setup_env.py'


@pytest.fixture
def env(tmp_path):
    """Write a fake environment, whose Python logs its arguments and then runs a shell script."""

    def write(script: str = '') -> Path:
        folder = tmp_path / 'env/bin'
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'pip').touch()
        python = folder / 'python'
        python.write_text(f'#!/usr/bin/env bash\necho "$*" >> {tmp_path}/calls\n{script}\n')
        python.chmod(0o755)
        return tmp_path / 'env'

    return write


@pytest.fixture
def set_up(monkeypatch, tmp_path):
    """Run the script; return the calls of ``pip install``."""

    def run(level: str, env: Path) -> list[str]:
        (tmp_path / 'calls').write_text('')
        monkeypatch.setattr('sys.argv', [str(SCRIPT), level, '--venv', str(env)])
        runpy.run_path(str(SCRIPT), run_name='__main__')
        calls = (tmp_path / 'calls').read_text().splitlines()
        return [call for call in calls if ' install ' in call]

    return run


def test_setup_env_keeps_torch_of_the_interpreter(env, set_up):
    installs = set_up('core', env())
    assert installs
    assert not any('torch' in call for call in installs)


@pytest.mark.parametrize('level', ['core', 'full'])
def test_setup_env_leaves_a_complete_environment_alone(level, env, set_up):
    path = env()
    assert set_up(level, path)
    assert set_up(level, path) == []


def test_setup_env_installs_headless_opencv_without_libgl(env, set_up):
    (call,) = [c for c in set_up('core', env('[ "$2" != "import cv2" ]')) if '--force' in c]
    assert '--force-reinstall --no-deps opencv-python-headless==' in call


def test_setup_env_recompiles_past_a_cached_wheel_without_ops(env, set_up, tmp_path, capsys):
    """The import fails until mmcv has been built without pip's cache."""
    compiled = f'grep -q -- "-v .*--no-cache-dir" {tmp_path}/calls'
    path = env(
        f'case "$*" in *mmcv._ext) {compiled} || exit 1;; *" -v "*) echo "[1/2] c++ x.cpp";; esac'
    )
    builds = [call for call in set_up('full', path) if ' -v ' in call]
    assert ['--no-cache-dir' in call for call in builds] == [False, True]
    assert capsys.readouterr().out.count('[1/2]\n') == 2


def test_setup_env_failing_compile_prints_its_last_lines(env, set_up, capsys):
    path = env('case "$*" in *mmcv._ext) exit 1;; *" -v "*) echo "error: no g++"; exit 3;; esac')
    with pytest.raises(SystemExit, match=r'status 3 of .*onedl-mmcv'):
        set_up('full', path)
    assert 'error: no g++' in capsys.readouterr().err
    assert not list(path.glob('.mmrot-*'))


def test_setup_env_upstream_links_all_but_the_forks(env, set_up):
    path = env()
    site = path / 'lib/python3.11/site-packages'
    site.mkdir(parents=True)
    (site / 'removed').symlink_to(path / 'nowhere')
    first = set_up('upstream', path)[0]
    assert first.endswith(f'--no-deps -r {ROOT / "requirements-upstream.txt"}')
    names = {link.name for link in site.iterdir()}
    assert {'torch', 'numpy', 'pytest'} < names
    assert not names & {'mmengine', 'mmcv', 'mmdet', 'mmrot', 'pip', 'setuptools', 'removed'}
    assert not [name for name in names if name.startswith('onedl')]
    assert (site / 'torch/__init__.py').samefile(torch.__file__)
    assert set_up('upstream', path) == []


def test_setup_env_rejects_an_unsupported_python(set_up, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, 'version_info', (3, 9, 1))
    with pytest.raises(SystemExit, match=r'is Python 3\.9\. Set PYTHON to'):
        set_up('core', tmp_path / 'new')
    assert not (tmp_path / 'new').exists()
