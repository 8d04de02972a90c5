import os

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import run_ranks
from mmpretrain.structures import DataSample
from torch import nn

from mmrot.errors import UserError
from mmrot.evaluation import features as module
from mmrot.evaluation.features import (
    extract_dataset,
    extract_features,
    load_features,
    pool_features,
)


class Outputs(nn.Module):
    """Return the image itself and its channel maxima; count the images."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(1).eval()  # frozen
        self.images = 0

    def forward(self, x):
        self.images += len(x)
        return x, x.amax((2, 3))


class Images(torch.utils.data.Dataset):
    """Images of one value each, in the order of their labels' squares."""

    metainfo = {'classes': ('cat', 'dog', 'owl')}

    def __init__(self, count=11, labels=None, broken=None):
        self.labels = [index**2 % 3 for index in range(count)] if labels is None else labels
        self.count, self.broken = count, broken

    def __len__(self):
        return self.count

    def get_data_info(self, index):
        info = {'img_path': f'photos/{index}.jpg', 'gt_label': self.labels[index]}
        return info | {'gt_label_difficult': [2]} if np.ndim(self.labels[index]) else info

    def __getitem__(self, index):
        if index == self.broken:
            raise RuntimeError('power cut')
        return {
            'inputs': torch.full((1, 2, 2), float(index)) + torch.eye(2),
            'data_samples': DataSample(),
        }


POOLS = {'map': 'avg', 'top': 'avg'}


def extract(dataset, backbone=None, pools=POOLS, batch_size=4, **kwargs):
    return extract_dataset(
        backbone or Outputs(), lambda batch: batch, dataset, pools, batch_size, **kwargs
    )


def test_extract_features_averages_maps_and_keeps_order():
    images = torch.arange(3 * 16.0).reshape(3, 1, 4, 4)
    samples = [DataSample().set_gt_label(label) for label in (2, 0, 1)]
    batches = [
        dict(inputs=images[:2], data_samples=samples[:2]),
        dict(inputs=images[2:], data_samples=samples[2:]),
    ]
    backbone = Outputs()
    (maps, vectors), labels = extract_features(backbone, lambda batch: batch, batches)
    np.testing.assert_array_equal(maps, [[7.5], [23.5], [39.5]])
    np.testing.assert_array_equal(vectors, [[15.0], [31.0], [47.0]])
    assert labels.tolist() == [2, 0, 1]
    assert backbone.training
    assert not backbone.norm.training


@pytest.mark.parametrize(
    ('channels', 'side'), [(64, 12), (192, 7), (384, 5), (256, 6), (512, 4), (1024, 3), (2048, 2)]
)
def test_pooling_to_about_9000_elements_gives_the_sides_of_the_papers(channels, side):
    pooled = pool_features(torch.rand(1, channels, 14, 14), 9000)
    assert pooled.shape == (1, channels * side**2)


def test_pooling_does_not_enlarge_a_map():
    assert pool_features(torch.rand(2, 16, 3, 2), 9000).shape == (2, 16 * 2 * 2)


def test_pooling_by_the_windows_of_the_source():
    x = torch.rand(2, 3, 112, 112)
    window = dict(kernel_size=10, stride=10, padding=4)
    expected = F.avg_pool2d(x, 10, 10, 4)
    assert expected.shape[2:] == (12, 12)
    torch.testing.assert_close(pool_features(x, window), expected.flatten(1))


def test_tokens_are_averaged_and_vectors_stay():
    x = torch.rand(2, 5, 3)
    torch.testing.assert_close(pool_features(x), x.mean(1))
    torch.testing.assert_close(pool_features(x[:, 0], 9000), x[:, 0])
    with pytest.raises(UserError, match=r'Cannot pool a map of \(2, 2\) with .*: .*too small'):
        pool_features(torch.ones(1, 3, 2, 2), dict(kernel_size=5))
    with pytest.raises(UserError, match=r"Cannot pool a map of \(2, 2\) with {'kernel': 5}"):
        pool_features(torch.ones(1, 3, 2, 2), dict(kernel=5))
    with pytest.raises(UserError, match='pool=-5 is neither'):
        pool_features(torch.ones(1, 3, 2, 2), -5)
    with pytest.raises(UserError, match='Cannot pool list'):
        pool_features([x])


def test_features_files_and_labels_are_in_the_order_of_the_data_set():
    found = extract(Images(11))
    np.testing.assert_array_equal(found.stages['map'][:, 0], np.arange(11) + 0.5)
    np.testing.assert_array_equal(found.stages['top'][:, 0], np.arange(11) + 1.0)
    assert found.files[10] == 'photos/10.jpg'
    assert found.labels.tolist() == [0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1]
    assert found.classes == ('cat', 'dog', 'owl')


def test_batch_size_does_not_change_the_features():
    one, many = extract(Images(11), batch_size=1), extract(Images(11), batch_size=11)
    np.testing.assert_allclose(one.stages['map'], many.stages['map'], rtol=1e-6)


def test_folder_has_the_same_features_and_loads_again(tmp_path):
    memory, files = extract(Images(11)), extract(Images(11), folder=tmp_path)
    for found in (files, load_features(tmp_path)):
        np.testing.assert_array_equal(found.stages['map'], memory.stages['map'])
        assert isinstance(found.stages['map'], np.memmap)
        assert found.files == memory.files
        assert found.labels.tolist() == memory.labels.tolist()
        assert found.classes == memory.classes
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *('features.json', 'images.csv', 'map.npy', 'top.npy')
    ]
    assert (tmp_path / 'images.csv').read_text().splitlines()[1] == 'photos/0.jpg,0'


def test_several_labels_are_targets_with_difficult_ones(tmp_path):
    labels = [[0], [1, 2], []]
    expected = [[1, 0, -1], [0, 1, 1], [0, 0, -1]]
    assert extract(Images(3, labels)).labels.tolist() == expected
    assert extract(Images(3, labels), folder=tmp_path).labels.tolist() == expected


def test_images_without_labels(tmp_path):
    assert extract(Images(3, [None] * 3), folder=tmp_path).labels is None
    assert (tmp_path / 'images.csv').read_text().splitlines()[0] == 'file'


def test_interrupted_extraction_resumes(tmp_path, monkeypatch):
    monkeypatch.setattr(module, '_SECONDS_BETWEEN_FLUSHES', 0)
    with pytest.raises(RuntimeError, match='power cut'):
        extract(Images(11, broken=9), folder=tmp_path / 'resumed')
    with pytest.raises(UserError, match='has not finished'):
        load_features(tmp_path / 'resumed')
    backbone = Outputs()
    extract(Images(11), backbone, folder=tmp_path / 'resumed')
    assert backbone.images == 1 + 3  # one to learn the sizes, and the last batch
    extract(Images(11), folder=tmp_path / 'whole')
    for name in ('map.npy', 'top.npy', 'images.csv', 'features.json'):
        whole = (tmp_path / 'whole' / name).read_bytes()
        assert (tmp_path / 'resumed' / name).read_bytes() == whole


def test_start_that_was_interrupted_is_repeated(tmp_path, monkeypatch):
    with monkeypatch.context() as context:
        context.setattr(module, 'write_atomically', Images(broken=0).__getitem__)
        with pytest.raises(TypeError):
            extract(Images(11), folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        *('done.npy', 'map.npy', 'top.npy', 'images.csv')
    }
    extract(Images(11), folder=tmp_path)
    (tmp_path / 'features.json').unlink()  # without done.npy, the arrays are somebody's
    with pytest.raises(UserError, match=r'has (map|top)\.npy without features\.json'):
        extract(Images(11), folder=tmp_path)


def test_other_photos_of_the_same_names_are_not_taken_for_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'photos/2.jpg').write_bytes(b'cat')
    extract(Images(3), folder=tmp_path / 'features')
    (tmp_path / 'photos/2.jpg').write_bytes(b'another')
    with pytest.raises(UserError, match='differ in "files"'):
        extract(Images(3), folder=tmp_path / 'features')


@pytest.mark.parametrize(
    ('name', 'content'),
    [
        ('features.json', '{}'),
        ('features.json', '[1'),
        ('images.csv', 'file\n' * 13),
        ('images.csv', 'label\n' + '0\n' * 11),
        ('images.csv', 'file,label\n' + 'photos/0.jpg\n' * 11),
        ('images.csv', 'file,label\n' + 'photos/0.jpg,\n' * 11),
        ('images.csv', 'file,label\n' + 'photos/0.jpg,0\n' * 11),
        ('images.csv', None),
        ('map.npy', "\x93NUMPY\x01\x00v\x00{'descr': '"),
    ],
)
def test_damaged_descriptions_are_named(tmp_path, name, content):
    extract(Images(11), folder=tmp_path)
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=name.replace('.', r'\.') + ' (has 12|is)'):
        load_features(tmp_path)


def test_outputs_without_a_name_are_an_error():
    with pytest.raises(UserError, match='Outputs returns 2 outputs, but has out_indices for 1'):
        extract(Images(3), pools={'map': 'avg'})


def test_images_of_several_classes_need_names_of_classes():
    images = Images(2, [[0, 1], [1]])
    images.metainfo = {}
    with pytest.raises(UserError, match='no names of classes'):
        extract(images)


def test_finished_extraction_is_only_read(tmp_path):
    extract(Images(11), folder=tmp_path)
    backbone = Outputs()
    extract(Images(11), backbone, folder=tmp_path)
    assert backbone.images == 1


@pytest.mark.parametrize(
    ('change', 'name'),
    [
        (dict(source={'checkpoint': 'b'}), 'checkpoint'),
        (dict(dataset=Images(12)), 'images'),
        (dict(dataset=Images(11, [0] * 11)), 'labels'),
        (dict(pools={'map': 4, 'top': 'avg'}), 'stages'),
    ],
)
def test_folder_of_other_features_is_not_overwritten(tmp_path, change, name):
    settings = dict(dataset=Images(11), folder=tmp_path, source={'checkpoint': 'a'})
    extract(**settings)
    before = (tmp_path / 'map.npy').read_bytes()
    with pytest.raises(UserError, match=f'differ in "{name}"'):
        extract(**{**settings, **change})
    assert (tmp_path / 'map.npy').read_bytes() == before


def test_memory_map_cut_short_is_named(tmp_path):
    extract(Images(11), folder=tmp_path)
    content = (tmp_path / 'map.npy').read_bytes()
    (tmp_path / 'map.npy').write_bytes(content[:-8])
    with pytest.raises(UserError, match=r'map\.npy is missing or damaged'):
        load_features(tmp_path)
    (tmp_path / 'map.npy').unlink()
    with pytest.raises(UserError, match=r'map\.npy is missing or damaged'):
        load_features(tmp_path)
    with pytest.raises(UserError, match='is not a folder of features'):
        load_features(tmp_path.parent)


def test_memory_map_cut_short_does_not_resume(tmp_path, monkeypatch):
    monkeypatch.setattr(module, '_SECONDS_BETWEEN_FLUSHES', 0)
    with pytest.raises(RuntimeError, match='power cut'):
        extract(Images(11, broken=9), folder=tmp_path)
    content = (tmp_path / 'map.npy').read_bytes()
    (tmp_path / 'map.npy').write_bytes(content[:-8])
    with pytest.raises(UserError, match=r'map\.npy is missing or damaged'):
        extract(Images(11), folder=tmp_path)
    assert len((tmp_path / 'map.npy').read_bytes()) == len(content) - 8
    np.save(tmp_path / 'map.npy', np.zeros((11, 1)))
    with pytest.raises(UserError, match=r'map\.npy has .* type float64, expected .* float32'):
        extract(Images(11), folder=tmp_path)


def test_names_in_any_encoding(tmp_path):
    images = Images(3)
    info = images.get_data_info
    images.get_data_info = lambda i: {**info(i), 'img_path': os.fsdecode(b'\xff%d.jpg' % i)}
    extract(images, folder=tmp_path)
    assert os.fsencode(load_features(tmp_path).files[2]) == b'\xff2.jpg'


def test_features_that_are_not_finite_are_named():
    class Broken(Outputs):
        def forward(self, x):
            return x / (x.amax() > 6), x.amax((2, 3))

    with pytest.raises(UserError, match=r'features of map for photos/0\.jpg are not finite'):
        extract(Images(5), Broken())


def distributed(folder):
    found = extract(Images(11))
    extract(Images(11), folder=folder / 'two')
    np.save(folder / f'memory{torch.distributed.get_rank()}.npy', found.stages['map'])


def test_two_processes_give_the_same_features(tmp_path):
    run_ranks(distributed, 2, tmp_path)
    one = extract(Images(11), folder=tmp_path / 'one')
    for rank in range(2):
        np.testing.assert_array_equal(np.load(tmp_path / f'memory{rank}.npy'), one.stages['map'])
    for name in ('map.npy', 'top.npy', 'images.csv', 'features.json'):
        two = (tmp_path / 'two' / name).read_bytes()
        assert two == (tmp_path / 'one' / name).read_bytes()
