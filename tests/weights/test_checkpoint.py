"""Loading of checkpoints from untrusted sources."""

import os
import pickle

import numpy as np
import pytest
import torch
from helpers import ROOT
from mmengine.logging.history_buffer import HistoryBuffer
from mmengine.runner import CheckpointLoader

import mmrot
from mmrot.errors import UserError
from mmrot.weights.checkpoint import load_checkpoint, safe_checkpoint_loading
from mmrot.weights.state_dict import split_backbone, state_dict_of


class Call:
    """Pickled as a call of a function, whose result is given a state."""

    def __init__(self, function, *arguments, state=None):
        self.call = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.call


@pytest.fixture
def malicious(tmp_path):
    """The folder that loading checkpoints in both of PyTorch's formats would make."""
    marker = tmp_path / 'it ran'
    attack = Call(os.mkdir, str(marker))
    content = {'state_dict': {'a': torch.ones(1)}, 'meta': attack}
    torch.save(content, tmp_path / 'new.pth')
    torch.save(content, tmp_path / 'old.pth', _use_new_zipfile_serialization=False)
    (tmp_path / 'plain.pth').write_bytes(pickle.dumps(attack, protocol=2))
    return marker


@pytest.mark.parametrize('name', ['new.pth', 'old.pth', 'plain.pth'])
def test_code_in_checkpoint_does_not_run(name, malicious):
    with pytest.raises(UserError, match=rf'{name} .*--trust loads it'):
        load_checkpoint(malicious.parent / name)
    assert not malicious.exists()


@pytest.mark.parametrize('name', ['new.pth', 'old.pth'])
def test_refused_object_is_named(name, malicious):
    with pytest.raises(UserError, match=rf'{name} .*GLOBAL posix\.mkdir'):
        load_checkpoint(malicious.parent / name)


def test_trusted_checkpoint_runs_code(malicious):
    assert load_checkpoint(malicious.parent / 'new.pth', trust=True)['state_dict']['a'] == 1
    assert malicious.exists()


def test_log_buffers_and_numpy_objects_load(tmp_path):
    buffer = HistoryBuffer([1.0, 2.0], [1, 1])
    array = np.asfortranarray(np.arange(6, dtype='>i2').reshape(2, 3))
    content = {'a': torch.ones(1), 'log': [buffer], 'x': np.float64(3), 'y': array, 'z': 'text'}
    torch.save(content, tmp_path / 'log.pth')
    loaded = load_checkpoint(tmp_path / 'log.pth')
    assert isinstance(loaded['log'][0], HistoryBuffer)
    assert loaded['log'][0].mean() == 1.5
    assert (loaded['x'], loaded['z']) == (3, 'text')
    np.testing.assert_array_equal(loaded['y'], array)


# State of a dtype of one number that claims to be 1000 numbers wide.
WIDE = (3, '<', (np.dtype('f8'), (1000,)), None, None, -1, -1, 0)


@pytest.mark.parametrize(
    ('attack', 'named'),
    [
        # any attribute of any object, such as the dictionary of built-in functions
        (Call(getattr, Call(getattr, HistoryBuffer, 'mean'), '__builtins__'), 'getattr'),
        (Call(getattr, HistoryBuffer.__module__, '__class__'), 'getattr'),
        # arrays of objects, and arrays that read beyond their bytes
        (np.array([3], dtype=object), 'numpy.dtype'),
        (Call(np.dtype, 'f8', False, True, state=WIDE), 'numpy.dtype'),
        (Call(np.ndarray, (4,), np.dtype('f8'), b'A' * 32), 'takes no arguments'),
        (Call(np.dtype, 'O8', False, True), 'numpy.dtype'),
        (Call(np.dtype, {'names': ['a'], 'formats': ['O']}), 'numpy.dtype'),
        (Call(np.dtype, 'f8,' * 1000), 'numpy.dtype'),
        # log buffers that change their class
        (Call(HistoryBuffer, state={'_statistics_methods': {'mean': 'x'}}), '_log_history'),
        (Call(HistoryBuffer, [1], [1]), 'takes no arguments'),
    ],
)
def test_harmful_object_is_refused(attack, named, tmp_path):
    torch.save({'state_dict': {'a': torch.ones(1)}, 'x': attack}, tmp_path / 'bad.pth')
    before = dict(HistoryBuffer._statistics_methods)
    with pytest.raises(ValueError, match=rf'bad\.pth is .*{named}'):
        load_checkpoint(tmp_path / 'bad.pth')
    assert HistoryBuffer._statistics_methods == before


def test_checkpoint_of_training_loads(tmp_path, run_tool):
    run_tool(
        'train',
        mmrot.config_path('rotnet/nin4_digits.py'),
        *('--work-dir', tmp_path, '--cfg-options', 'train_cfg.max_epochs=1'),
        *('train_dataloader.dataset.indices=8', 'val_dataloader.dataset.indices=4'),
        *('model.backbone.width=12', 'model.head.in_channels=12'),
        'default_hooks.checkpoint.interval=1',
    )
    checkpoint = load_checkpoint(tmp_path / 'epoch_1.pth')
    assert checkpoint['meta']['epoch'] == 1
    backbone, rest = split_backbone(state_dict_of(checkpoint, 'file'))
    assert len(backbone) == 72
    assert list(rest) == ['head.fc.weight', 'head.fc.bias']


@pytest.mark.parametrize('argument', ['--resume', 'load_from'])
def test_tools_do_not_run_code_in_checkpoint(argument, malicious, run_tool):
    file = malicious.parent / 'new.pth'
    extra = ['--resume', file] if argument == '--resume' else []
    with pytest.raises(SystemExit, match=r'new\.pth .*posix\.mkdir'):
        run_tool(
            'train',
            mmrot.config_path('rotnet/nin4_digits.py'),
            *('--work-dir', malicious.parent / 'work', *extra, '--cfg-options'),
            *('train_dataloader.dataset.indices=8', 'model.backbone.width=12'),
            *(['model.head.in_channels=12'] if extra else [f'load_from={file}']),
            *([] if extra else ['model.head.in_channels=12']),
        )
    assert not malicious.exists()
    with pytest.raises(SystemExit, match=r'new\.pth .*posix\.mkdir'):
        run_tool('convert', 'backbone', file, malicious.parent / 'out.pth')
    assert not malicious.exists()
    assert not list(malicious.parent.glob('out*'))


def test_safe_checkpoint_loading_restores_mmengines_loaders():
    before = CheckpointLoader._get_checkpoint_loader('a.pth')
    with safe_checkpoint_loading():
        assert CheckpointLoader._get_checkpoint_loader('a.pth') is not before
        for file in ('https://a/b.pth', 's3://a/b.pth', 'cluster:s3://a/b.pth'):
            assert CheckpointLoader._get_checkpoint_loader(file).__name__ == 'load_from_safe'
        assert CheckpointLoader._get_checkpoint_loader('torchvision://a').__name__.endswith(
            'torchvision'
        )
    assert CheckpointLoader._get_checkpoint_loader('a.pth') is before


def test_object_storage_is_loaded_safely(malicious, monkeypatch):
    storage = {'s3://bucket/new.pth': (malicious.parent / 'new.pth').read_bytes()}
    monkeypatch.setattr('mmengine.fileio.get', lambda name, backend_args: storage[name])
    with pytest.raises(UserError, match=r'posix\.mkdir'), safe_checkpoint_loading():
        CheckpointLoader.load_checkpoint('s3://bucket/new.pth')
    assert not malicious.exists()


def test_files_that_are_not_checkpoints_raise(tmp_path):
    torch.save({'a': torch.rand(1000)}, tmp_path / 'whole.pth')
    (tmp_path / 'half.pth').write_bytes((tmp_path / 'whole.pth').read_bytes()[:1500])
    (tmp_path / 'empty.pth').touch()
    torch.save([torch.ones(1)], tmp_path / 'list.pth')
    with pytest.raises(FileNotFoundError, match=r'none\.pth does not exist'):
        load_checkpoint(tmp_path / 'none.pth')
    for path, message in (
        (tmp_path / 'half.pth', 'is truncated or not a checkpoint'),
        (tmp_path / 'empty.pth', 'is truncated or not a checkpoint'),
        (tmp_path / 'list.pth', 'contains a list, expected a dict'),
        (ROOT / 'README.md', 'is damaged or contains more than weights'),
    ):
        with pytest.raises(UserError, match=rf'{path.name} {message}'):
            load_checkpoint(path)


def test_safe_globals_of_the_program_are_ignored_and_kept(tmp_path):
    own = [HistoryBuffer, np.ndarray, np.dtype, np.array(0).__reduce__()[0]]
    buffer = HistoryBuffer([1.0, 2.0], [1, 1])
    torch.save({'a': torch.ones(1), 'buffer': buffer, 'array': np.arange(3)}, tmp_path / 'x.pth')
    with torch.serialization.safe_globals(own):
        before = set(torch.serialization.get_safe_globals())
        found = load_checkpoint(tmp_path / 'x.pth')
        assert set(torch.serialization.get_safe_globals()) == before
    assert found['array'].tolist() == [0, 1, 2]
    assert found['buffer'].data[0].tolist() == [1, 2]
    with torch.serialization.safe_globals([os.mkdir, Call]):
        torch.save(
            {'a': torch.ones(1), 'b': Call(os.mkdir, str(tmp_path / 'it ran'))},
            tmp_path / 'bad.pth',
        )
        with pytest.raises(ValueError, match='posix'):
            load_checkpoint(tmp_path / 'bad.pth')
    assert not (tmp_path / 'it ran').exists()
