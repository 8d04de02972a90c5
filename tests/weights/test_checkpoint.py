"""Loading of checkpoints from untrusted sources."""

import os
import pickle
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest
import torch
from helpers import ROOT
from mmengine.logging.history_buffer import HistoryBuffer
from mmengine.runner import CheckpointLoader

import mmrot
from mmrot.errors import UserError
from mmrot.weights.checkpoint import load_checkpoint, safe_checkpoint_loading
from mmrot.weights.digest import SHA256, weights_sha256
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
    assert checkpoint['meta'][SHA256] == weights_sha256(checkpoint['state_dict'])
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


def test_shared_containers_are_visited_once(tmp_path):
    shared: dict = {'a': 1}
    for _ in range(40):  # 2^40 paths
        shared = {'left': shared, 'right': shared}
    torch.save({'x': shared}, tmp_path / 'shared.pth')
    found = load_checkpoint(tmp_path / 'shared.pth')['x']
    assert found['left'] is found['right']
    own: list = []
    own.append(own)
    torch.save({'x': own}, tmp_path / 'own.pth')
    with pytest.raises(UserError, match=r'own\.pth .*container that contains itself'):
        load_checkpoint(tmp_path / 'own.pth')


def test_arrays_that_share_bytes_are_not_copied(tmp_path):
    array = np.zeros(1000)
    torch.save({'x': [array] * 3, 'log': HistoryBuffer([1.0], [1])}, tmp_path / 'a.pth')
    found = load_checkpoint(tmp_path / 'a.pth')['x']
    assert np.shares_memory(found[0], found[2])


def test_compressed_checkpoint_is_refused_before_it_is_inflated(tmp_path):
    torch.save({'a': torch.zeros(10**6)}, tmp_path / 'whole.pth')
    with (
        ZipFile(tmp_path / 'whole.pth') as whole,
        ZipFile(tmp_path / 'small.pth', 'w', ZIP_DEFLATED) as small,
    ):
        for name in whole.namelist():
            small.writestr(name, whole.read(name))
    with pytest.raises(UserError, match=r"small\.pth .*data\.pkl' is compressed"):
        load_checkpoint(tmp_path / 'small.pth')
    assert load_checkpoint(tmp_path / 'small.pth', trust=True)['a'].sum() == 0


def test_tensor_larger_than_its_file_is_refused(tmp_path):
    torch.save({'a': torch.ones(1).expand(10**6, 10**6)}, tmp_path / 'a.pth')
    with pytest.raises(UserError, match=r'a\.pth .*tensor of 4,000,000,000,000 bytes'):
        load_checkpoint(tmp_path / 'a.pth')


def test_changed_weights_are_noticed(tmp_path):
    state = {'a': torch.rand(100), 'b': torch.ones(3, dtype=torch.bfloat16), 'n': torch.tensor(1)}
    file = tmp_path / 'a.pth'
    torch.save({'state_dict': state, 'meta': {SHA256: weights_sha256(state)}}, file)
    assert load_checkpoint(file)['state_dict']['n'] == 1
    content = bytearray(file.read_bytes())
    content[content.index(state['a'].numpy().tobytes()) + 3] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=r'a\.pth is damaged: its weights do not match the hash'):
        load_checkpoint(file)


def test_hash_depends_on_names_types_shapes_and_values():
    state = {'a': torch.arange(6.0), 'b': torch.ones(2)}
    expected = weights_sha256(state)
    assert weights_sha256(dict(reversed(state.items()))) == expected
    for changed in (
        {'a': state['a'], 'c': state['b']},
        {**state, 'a': state['a'].view(torch.int32)},
        {**state, 'a': state['a'].view(2, 3)},
        {**state, 'b': torch.zeros(2)},
    ):
        assert weights_sha256(changed) != expected
