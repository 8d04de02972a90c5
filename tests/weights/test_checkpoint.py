"""Reading checkpoints that nobody vouches for."""

import os
import pickle

import numpy as np
import pytest
import torch
from helpers import ROOT
from mmengine.logging.history_buffer import HistoryBuffer
from mmengine.runner import CheckpointLoader

import mmrot
from mmrot.weights.checkpoint import load_checkpoint, mmengine_loads_with
from mmrot.weights.state_dict import split_backbone, state_dict_of


class Malice:
    """Makes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def malicious(tmp_path):
    """A checkpoint that would leave a marker, in both of PyTorch's formats."""
    marker = tmp_path / 'it ran'
    content = {'state_dict': {'a': torch.ones(1)}, 'meta': Malice(marker)}
    torch.save(content, tmp_path / 'new.pth')
    torch.save(content, tmp_path / 'old.pth', _use_new_zipfile_serialization=False)
    (tmp_path / 'plain.pth').write_bytes(pickle.dumps(content['meta']))
    return marker


@pytest.mark.parametrize('name', ['new.pth', 'old.pth', 'plain.pth'])
def test_code_in_a_checkpoint_does_not_run(name, malicious):
    with pytest.raises(ValueError, match=name):
        load_checkpoint(malicious.parent / name)
    assert not malicious.exists()


def test_what_was_refused_is_named_and_trust_loads_it(malicious):
    for name in ('new.pth', 'old.pth'):
        with pytest.raises(ValueError, match=rf'{name} needs posix.mkdir, .*refused; --trust'):
            load_checkpoint(malicious.parent / name)
    assert load_checkpoint(malicious.parent / 'new.pth', trust=True)['state_dict']['a'] == 1
    assert malicious.exists()  # the file is what the test takes it for


class Call:
    """Pickled as a call of a function with arguments."""

    def __init__(self, function, *arguments, state=None):
        self.call = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.call


def test_log_buffers_and_numbers_come_back(tmp_path):
    buffer = HistoryBuffer([1.0, 2.0], [1, 1])
    array = np.asfortranarray(np.arange(6, dtype='>i2').reshape(2, 3))
    content = {'a': torch.ones(1), 'log': [buffer], 'x': np.float64(3), 'y': array, 'z': 'text'}
    torch.save(content, tmp_path / 'log.pth')
    loaded = load_checkpoint(tmp_path / 'log.pth')
    assert isinstance(loaded['log'][0], HistoryBuffer)
    assert loaded['log'][0].mean() == 1.5
    assert (loaded['x'], loaded['z']) == (3, 'text')
    np.testing.assert_array_equal(loaded['y'], array)


@pytest.mark.parametrize(
    ('attack', 'named'),
    [
        # mmengine's own allow-list lets a file reach any attribute of anything
        (Call(getattr, HistoryBuffer.__module__, '__class__'), 'getattr'),
        # arrays whose bytes become pointers to objects
        (np.array([3], dtype=object), 'numpy.dtype'),
        (Call(np.ndarray, (4,), np.dtype('f8'), b'A' * 32), 'numpy.ndarray'),
        (Call(np.dtype, 'O8', False, True), 'numpy.dtype'),
        (Call(np.dtype, {'names': ['a'], 'formats': ['O']}), 'numpy.dtype'),
        (Call(np.dtype, 'f8,' * 1000), 'numpy.dtype'),
        # log buffers that would change their class
        (Call(HistoryBuffer, state={'_statistics_methods': {'mean': 'x'}}), '_log_history'),
        (Call(HistoryBuffer, [1], [1]), 'HistoryBuffer'),
    ],
)
def test_objects_that_would_harm_when_built(attack, named, tmp_path):
    torch.save({'state_dict': {'a': torch.ones(1)}, 'x': attack}, tmp_path / 'bad.pth')
    before = dict(HistoryBuffer._statistics_methods)
    with pytest.raises(ValueError, match=rf'bad\.pth needs .*{named}.*refused; --trust'):
        load_checkpoint(tmp_path / 'bad.pth')
    assert HistoryBuffer._statistics_methods == before


def test_checkpoints_of_a_training_load(tmp_path, run_tool):
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
def test_the_tools_refuse_it_too(argument, malicious, run_tool):
    file = malicious.parent / 'new.pth'
    extra = ['--resume', file] if argument == '--resume' else []
    with pytest.raises(SystemExit, match=r'new\.pth needs posix\.mkdir'):
        run_tool(
            'train',
            mmrot.config_path('rotnet/nin4_digits.py'),
            *('--work-dir', malicious.parent / 'work', *extra, '--cfg-options'),
            *('train_dataloader.dataset.indices=8', 'model.backbone.width=12'),
            *(['model.head.in_channels=12'] if extra else [f'load_from={file}']),
            *([] if extra else ['model.head.in_channels=12']),
        )
    assert not malicious.exists()
    with pytest.raises(SystemExit, match=r'new\.pth needs posix\.mkdir'):
        run_tool('convert', 'backbone', file, malicious.parent / 'out.pth')
    assert not malicious.exists()
    assert not list(malicious.parent.glob('out*'))


def test_mmengine_gets_its_loader_back():
    before = CheckpointLoader._get_checkpoint_loader('a.pth')
    with mmengine_loads_with(trust=False):
        assert CheckpointLoader._get_checkpoint_loader('a.pth') is not before
        assert CheckpointLoader._get_checkpoint_loader('https://a/b.pth') is not before
        assert CheckpointLoader._get_checkpoint_loader('torchvision://a').__name__.endswith(
            'torchvision'
        )
    assert CheckpointLoader._get_checkpoint_loader('a.pth') is before


def test_files_that_are_no_checkpoints(tmp_path):
    torch.save({'a': torch.rand(1000)}, tmp_path / 'whole.pth')
    (tmp_path / 'half.pth').write_bytes((tmp_path / 'whole.pth').read_bytes()[:1500])
    torch.save([torch.ones(1)], tmp_path / 'list.pth')
    for name, message in (
        ('none.pth', r'none\.pth can not be found'),
        ('half.pth', r'half\.pth: expected a file that torch can load, it is cut off or no'),
        ('list.pth', r'list\.pth: expected a dict, it holds a list'),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            load_checkpoint(tmp_path / name)
    with pytest.raises(ValueError, match=r'README\.md: expected a file that torch can load'):
        load_checkpoint(ROOT / 'README.md')
    with pytest.raises(ValueError, match='file holds no weights: expected tensors, found epoch'):
        state_dict_of({'epoch': 3}, 'file')
    assert list(state_dict_of({'module.a': torch.ones(1), 'epoch': 3}, 'file')) == ['a']


def test_what_a_program_allows_for_itself_changes_nothing(tmp_path):
    """Torch advises add_safe_globals; the stand-ins must not meet the real classes there."""
    own = [HistoryBuffer, np.ndarray, np.dtype, np._core.multiarray._reconstruct]
    buffer = HistoryBuffer([1.0, 2.0], [1, 1])
    torch.save({'a': torch.ones(1), 'buffer': buffer, 'array': np.arange(3)}, tmp_path / 'x.pth')
    with torch.serialization.safe_globals(own):
        before = set(torch.serialization.get_safe_globals())
        found = load_checkpoint(tmp_path / 'x.pth')
        assert set(torch.serialization.get_safe_globals()) == before
    assert found['array'].tolist() == [0, 1, 2]
    assert found['buffer'].data[0].tolist() == [1, 2]
    with torch.serialization.safe_globals([os.mkdir, Malice]):
        torch.save({'a': torch.ones(1), 'b': Malice(tmp_path / 'it ran')}, tmp_path / 'bad.pth')
        with pytest.raises(ValueError, match='refused'):
            load_checkpoint(tmp_path / 'bad.pth')
    assert not (tmp_path / 'it ran').exists()
