"""The commands that run no job."""

import subprocess
import sys

import pytest

import mmrot
from mmrot.cli import COMMANDS, main
from mmrot.packages import DISTRIBUTIONS, FORKS, OPENMMLAB, installed_families


@pytest.fixture(autouse=True)
def _own_argv(monkeypatch):
    monkeypatch.setattr('sys.argv', ['mmrot'])


@pytest.mark.parametrize('command', COMMANDS)
def test_command_has_help(command, capsys):
    with pytest.raises(SystemExit, match='0'):
        main([command, '--help'])
    assert f'usage: mmrot {command}' in capsys.readouterr().out


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit, match='0'):
        main(['--help'])
    printed = capsys.readouterr().out
    assert all(f'\n  {command} ' in printed for command in COMMANDS)


@pytest.mark.parametrize('arguments', [[], ['trian']])
def test_missing_or_unknown_command_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit, match='2'):
        main(arguments)
    assert 'usage: mmrot' in capsys.readouterr().err


def test_list_prints_every_config(capsys):
    main(['list'])
    assert capsys.readouterr().out.split() == mmrot.list_configs()
    main(['list', 'digits'])
    assert capsys.readouterr().out.split() == ['rotnet/nin4_digits.py']


def test_list_imports_no_torch():
    code = (
        "import sys; from mmrot.cli import main; main(['list']); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True, capture_output=True)


def test_doctor_reports_versions_and_devices(capsys):
    with pytest.raises(SystemExit, match='False'):
        main(['doctor'])
    printed = capsys.readouterr().out
    assert printed.startswith(f'mmrot {mmrot.__version__} in ')
    (family,) = installed_families()
    assert f'\nfamily        {family}\n' in printed
    (mmengine,) = DISTRIBUTIONS[family]['mmengine']
    assert f'\nmmengine      {mmengine} ' in printed
    assert '\ndevices ' in printed
    assert printed.endswith('The core works.\n')


@pytest.mark.parametrize(
    ('family', 'missing', 'status', 'remedy'),
    [
        (FORKS, 'mmdet', 'False', 'pip install onedl-mmdetection'),
        (FORKS, 'mmcv._ext', 'False', 'MMCV_WITH_OPS=1 pip install'),
        (FORKS, 'mmpretrain', 'True', 'pip install onedl-mmpretrain'),
        (OPENMMLAB, 'mmpretrain', 'True', 'pip install mmpretrain==1.2.0'),
        (OPENMMLAB, 'torch', 'True', 'pip install torch'),
    ],
)
def test_doctor_names_the_remedy(family, missing, status, remedy, monkeypatch, capsys):
    def fail(name: str) -> None:
        if name == missing:
            raise ImportError(f'no {missing}')

    monkeypatch.setattr('mmrot.cli.doctor.import_module', fail)
    monkeypatch.setattr('mmrot.cli.doctor.installed_families', lambda: {family: ['mmengine 0']})
    with pytest.raises(SystemExit, match=status):
        main(['doctor'])
    printed = capsys.readouterr().out
    assert f'ImportError: no {missing}' in printed
    assert f'→ {remedy}' in printed


def test_doctor_advises_against_two_families(monkeypatch, capsys):
    families = {OPENMMLAB: ['mmengine 0.10.7'], FORKS: ['onedl-mmcv 2.3.6']}
    monkeypatch.setattr('mmrot.cli.doctor.installed_families', lambda: families)
    monkeypatch.setattr('mmrot.cli.doctor.shared_folders_message', lambda: 'mmcv is shared')
    with pytest.raises(SystemExit):
        main(['doctor'])
    printed = capsys.readouterr().out
    assert f'family        {OPENMMLAB} and {FORKS}\n' in printed
    assert 'in one environment: mmengine 0.10.7; onedl-mmcv 2.3.6\n' in printed
    assert '→ mmcv is shared\n' in printed


@pytest.mark.slow
def test_doctor_runs_without_mmengine():
    code = (
        'import sys; sys.modules["mmengine"] = None\nfrom mmrot.cli import main; main(["doctor"])'
    )
    run = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code], capture_output=True, text=True
    )
    assert run.returncode == 1
    assert 'The core does not work: mmengine' in run.stdout


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--out', 'a.txt'], 'expected a file ending in .pkl, .pickle'),
        (['--out', 'a.txt', '--out-item', 'metrics'], 'expected a file ending in .json'),
        (['--out-item', 'metrics'], '--out-item needs --out'),
    ],
)
def test_test_command_checks_its_output_first(arguments, message, capsys):
    with pytest.raises(SystemExit, match='2'):
        main(['test', 'rotnet/nin4_digits.py', 'none.pth', *arguments])
    assert message in capsys.readouterr().err


def test_table_of_a_directory_without_results_is_one_line(tmp_path):
    with pytest.raises(SystemExit, match=r'mmrot: error: .*the run has not finished'):
        main(['table', str(tmp_path)])


def test_proposals_of_a_missing_split_is_one_line(tmp_path):
    with pytest.raises(SystemExit, match=r'mmrot: error: .*trainval\.txt'):
        main(['proposals', str(tmp_path), 'trainval', 'out.pkl'])


def test_output_to_a_closed_pipe_ends_quietly():
    with subprocess.Popen(
        [sys.executable, '-m', 'mmrot.cli', 'list'],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ''
    assert process.returncode == 141
