"""The set-up script: what it says when it cannot go on, and what it leaves alone."""

import importlib.util
import sys

import pytest
from helpers import ROOT


@pytest.fixture
def setup_env():
    spec = importlib.util.spec_from_file_location('setup_env', ROOT / 'tools/setup_env.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def fake(tmp_path):
    """An environment whose interpreter is a shell script."""

    def write(script: str):
        python = tmp_path / 'env/bin/python'
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text(f'#!/usr/bin/env bash\n{script}\n')
        python.chmod(0o755)
        return tmp_path / 'env'

    return write


@pytest.mark.parametrize(
    ('output', 'message'),
    [
        ('OSError: [Errno 28] No space left on device', 'the disk is full'),
        ('Temporary failure in name resolution', 'the package index cannot be reached'),
        ('ERROR: Could not find a version that satisfies', 'the package index cannot be reached'),
        ('building\nerror: metadata broke\nbye', 'pip failed: error: metadata broke'),
        ('nothing', 'pip failed: no message'),
    ],
)
def test_what_pip_says_becomes_one_line(setup_env, fake, output, message):
    path = fake(f"printf '{output}\\n'; exit 1")
    with pytest.raises(setup_env.SetupError) as error:
        setup_env.Env(path).pip('something')
    assert str(error.value).startswith(message)
    assert 'setup.log' in str(error.value)
    assert '\n' not in str(error.value)
    assert output.splitlines()[0] in (path / 'setup.log').read_text()


def test_an_earlier_failure_in_the_log_is_not_blamed(setup_env, fake):
    env = setup_env.Env(fake('echo No space left on device; exit 1'))
    with pytest.raises(setup_env.SetupError, match='the disk is full'):
        env.pip('one')
    fake('echo error: other; exit 1')
    with pytest.raises(setup_env.SetupError, match='pip failed: error: other'):
        env.pip('two')


def test_the_compile_shows_its_steps(setup_env, fake, capsys):
    env = setup_env.Env(fake('for i in 1 2 3; do echo "[$i/3] c++ -c $i.cpp"; done'))
    env.pip('mmcv', progress='mmcv')
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith('setup: mmcv: 1 of 3 files')
    assert lines[-1].startswith('setup: mmcv: 3 of 3 files')


def run_main(setup_env, monkeypatch, *arguments: object) -> None:
    monkeypatch.setattr('sys.argv', ['setup_env.py', *map(str, arguments)])
    setup_env.main()


def test_a_complete_environment_is_left_alone(setup_env, fake, monkeypatch, capsys):
    path = fake('[ "$1" = -m ] && { echo "pip called"; exit 1; }; exit 0')
    for level in ('core', 'full'):
        (path / f'.mmrot-{level}').write_text(setup_env.digest())
        run_main(setup_env, monkeypatch, level, '--venv', path)
    assert capsys.readouterr().out == f'setup: {path} is complete\n' * 2
    assert not (path / 'setup.log').exists()


def test_lost_ops_are_built_again_past_the_cache(setup_env, fake, monkeypatch, tmp_path, capsys):
    """The stamp is there, mmcv._ext is not: the cached wheel first, then a build."""
    calls = tmp_path / 'calls'
    path = fake(
        f'echo "$*" >> {calls}\n'
        f'case "$*" in *mmcv._ext*) grep -q -- --no-cache-dir {calls}; exit $?; esac'
    )
    for level in ('core', 'full'):
        (path / f'.mmrot-{level}').write_text(setup_env.digest())
    run_main(setup_env, monkeypatch, 'full', '--venv', path)
    builds = [line for line in calls.read_text().splitlines() if setup_env.MMCV in line]
    assert len(builds) == 2
    assert '--no-cache-dir' not in builds[0]
    assert '--no-cache-dir' in builds[1]
    assert 'building past the cache' in capsys.readouterr().out


def test_no_compiler(setup_env, fake, monkeypatch):
    path = fake('case "$*" in *mmcv._ext*) exit 1; esac')
    (path / '.mmrot-core').write_text(setup_env.digest())
    monkeypatch.setattr('shutil.which', lambda name: None)
    with pytest.raises(SystemExit, match=r"^setup: error: no C\+\+ compiler: mmcv's ops need one"):
        run_main(setup_env, monkeypatch, 'full', '--venv', path)
    assert not (path / '.mmrot-full').exists()


def test_full_disk(setup_env, tmp_path):
    with pytest.raises(setup_env.SetupError, match=r'GB are free under .*: expected 1000000 GB'):
        setup_env.need_space(tmp_path, 1_000_000)


def test_wrong_python(setup_env, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, 'version_info', (3, 9, 1))
    with pytest.raises(SystemExit, match=r'is Python 3\.9: expected 3\.10, 3\.11 or 3\.12'):
        run_main(setup_env, monkeypatch, 'core', '--venv', tmp_path / 'new')
    assert not (tmp_path / 'new').exists()


def test_torch_of_an_existing_interpreter_stays(setup_env, fake, monkeypatch, tmp_path):
    """Every import works, so torch is not among what pip is asked for."""
    calls = tmp_path / 'calls'
    path = fake(f'echo "$*" >> {calls}')
    run_main(setup_env, monkeypatch, 'core', '--venv', path)
    installs = [line for line in calls.read_text().splitlines() if ' install ' in line]
    assert installs
    assert not [line for line in installs if 'torch' in line]
    assert (path / '.mmrot-core').read_text() == setup_env.digest()
