import pytest
from mmpretrain.models.backbones import ResNet

from mmrot.cli.errors import report_errors
from mmrot.errors import UserError


@pytest.fixture(autouse=True)
def _no_traceback(monkeypatch):
    monkeypatch.delenv('MMROT_TRACEBACK', raising=False)


def fail(error: Exception) -> None:
    with report_errors():
        raise error


def end(status: int) -> None:
    raise SystemExit(f'ended with {status}')


@pytest.mark.parametrize(
    ('error', 'line'),
    [
        (UserError('first\n  second'), 'mmrot: error: first second'),
        (
            FileNotFoundError(2, 'No such file', 'a.pth'),
            "mmrot: error: [Errno 2] No such file: 'a",
        ),
    ],
)
def test_error_of_the_user_is_one_line(error, line):
    with pytest.raises(SystemExit) as exit_info:
        fail(error)
    assert exit_info.value.code.startswith(line)


def test_failed_assertion_of_a_config_names_class_line_and_values():
    with pytest.raises(SystemExit) as exit_info, report_errors():
        ResNet(18, out_indices=(5,))
    assert exit_info.value.code == (
        'mmrot: error: cannot build mmpretrain.ResNet: `assert max(out_indices) < num_stages` '
        'fails for out_indices=(5,), num_stages=4'
    )


def test_missing_file_list_of_an_mmseg_dataset_is_one_line(tmp_path):
    datasets = pytest.importorskip('mmseg.datasets')
    with pytest.raises(SystemExit) as exit_info, report_errors():
        datasets.PascalVOCDataset('none.txt', data_root=str(tmp_path), data_prefix={}, pipeline=[])
    assert exit_info.value.code == (
        f'mmrot: error: mmseg.PascalVOCDataset: Failed to load `ann_file` {tmp_path}/none.txt'
    )


def test_failed_assertion_in_a_network_of_the_user_keeps_its_traceback():
    class Own:
        def __init__(self) -> None:
            assert self is None

    with pytest.raises(AssertionError), report_errors():
        Own()


def test_missing_package_names_the_line_that_installs_it():
    with pytest.raises(SystemExit, match='mmdet is not installed: pip install onedl-mmdetection'):
        fail(ModuleNotFoundError("No module named 'mmdet'", name='mmdet'))


@pytest.mark.parametrize('module', ['mmcv._ext', 'mmcv.ops'])
def test_missing_ops_of_mmcv_behind_a_failed_import(module):
    failed = ImportError('Failed to import mmrot.detection')
    failed.__cause__ = ModuleNotFoundError(f'No module named {module!r}', name=module)
    with pytest.raises(SystemExit, match='mmcv is installed without its compiled ops'):
        fail(failed)


def test_interrupt_is_one_line(capsys):
    with pytest.raises(SystemExit, match='130'), report_errors():
        raise KeyboardInterrupt
    assert capsys.readouterr().err == 'mmrot: interrupted.\n'


def test_long_error_is_shortened():
    with pytest.raises(SystemExit) as exit_info:
        fail(UserError('key ' * 1000))
    assert len(exit_info.value.code) < 650
    assert exit_info.value.code.endswith('key ...')


@pytest.mark.parametrize('error', [ValueError('a bug'), TypeError('a bug')])
def test_bug_keeps_its_traceback(error):
    with pytest.raises(type(error), match='a bug'):
        fail(error)


def test_traceback_of_a_user_error_on_request(monkeypatch):
    monkeypatch.setenv('MMROT_TRACEBACK', '1')
    with pytest.raises(UserError, match='bad value'):
        fail(UserError('bad value'))


@pytest.mark.parametrize(
    ('error', 'printed'),
    [(UserError('bad value'), 'mmrot: error: bad value\n'), (KeyError('a bug'), 'Traceback')],
)
def test_failing_rank_on_gloo_exits_at_once(error, printed, monkeypatch, capsys):
    monkeypatch.setattr('mmrot.cli.errors.uses_gloo', lambda: True)
    monkeypatch.setattr('mmrot.cli.errors.end_process', end)
    with pytest.raises(SystemExit, match='ended with 1'):
        fail(error)
    assert capsys.readouterr().err.startswith(printed)


def test_successful_job_leaves_its_process_group(monkeypatch):
    left = []
    monkeypatch.setattr('mmrot.cli.errors.leave_process_group', lambda: left.append(True))
    with report_errors():
        assert not left
    assert left


def test_error_of_a_worker_is_its_last_line():
    text = 'Caught UserError in DataLoader worker process 0.\nOriginal Traceback\n' + 'x ' * 900
    message = f'{text}\nmmrot.errors.UserError: image a.jpg: empty file.\n'
    with (
        pytest.raises(SystemExit, match=r'^mmrot: error: image a\.jpg: empty file\.$'),
        report_errors(),
    ):
        raise UserError(message)


@pytest.mark.parametrize(
    ('text', 'line'),
    [
        (
            '[unbound_buffer.cc:78] Timed out waiting 10000ms for recv',
            'did not answer within env_',
        ),
        ('[pair.cc:553] Connection closed by peer [127.0.0.1]:4242', 'of the job has ended'),
    ],
)
def test_lost_processes_on_gloo_are_one_line(text, line, monkeypatch, capsys):
    monkeypatch.setattr('mmrot.cli.errors.uses_gloo', lambda: True)
    monkeypatch.setattr('mmrot.cli.errors.end_process', end)
    with pytest.raises(SystemExit, match='ended with 1'):
        fail(RuntimeError(text))
    (printed,) = capsys.readouterr().err.splitlines()
    assert line in printed
