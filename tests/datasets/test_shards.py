import errno
import http.server
import re
import shutil
import threading
from email.message import Message
from functools import partial
from itertools import islice
from urllib.error import HTTPError

import fsspec
import numpy as np
import pytest
from helpers import run_ranks
from mmengine.dataset import RepeatDataset
from mmengine.dist import get_rank
from torch.utils.data import DataLoader

from mmrot.datasets import ImageFolder, Shards
from mmrot.datasets.pack import pack_photos
from mmrot.datasets.seeded_samples import SeededSampler, SeededSamples
from mmrot.errors import ImageError, UserError

LOAD = [dict(type='mmrot.LoadImage')]


@pytest.fixture(scope='module')
def packs(photo_folder, tmp_path_factory):
    """24 photos in 8 shards, in 3 and in 1."""
    root = tmp_path_factory.mktemp('packs')
    for count in (8, 3, 1):
        pack_photos(photo_folder, root / str(count), shard_size=24 // count)
    return root


@pytest.fixture
def pack(packs, tmp_path):
    """A copy of the 8 shards."""
    shutil.copytree(packs / '8', tmp_path / 'pack')
    return tmp_path / 'pack'


def read(dataset):
    return [
        (sample['sample_idx'], sample['img_bytes'])
        for sample in map(dataset.__getitem__, range(len(dataset)))
    ]


def keys(dataset):
    return [dataset.get_data_info(i)['img_path'].rpartition('/')[2] for i in range(len(dataset))]


@pytest.mark.parametrize('split', ['all', 'train', 'val'])
def test_samples_are_those_of_the_folder(split, packs, photo_folder):
    shards = Shards(str(packs / '8'), split, pipeline=LOAD)
    photos = ImageFolder(str(photo_folder), split, pipeline=LOAD)
    assert len(shards) == len(photos) == {'all': 24, 'train': 22, 'val': 2}[split]
    for index in range(len(photos)):
        np.testing.assert_array_equal(shards[index]['img'], photos[index]['img'])


def test_sequence_does_not_depend_on_the_shards(packs):
    eight, three, one = (Shards(str(packs / name)) for name in '831')
    assert read(eight) == read(three) == read(one)
    assert keys(eight) == keys(three) == [f'{key:09d}' for key in range(24)]
    assert eight.get_data_info(23)['img_path'] == f'{packs}/8/000007.tar/000000023'


def test_subset_keeps_samples(packs):
    dataset = Shards(str(packs / '3'), 'train')
    expected = read(dataset)
    dataset.get_subset_([0, 20])
    assert [data for _, data in read(dataset)] == [expected[0][1], expected[20][1]]
    assert keys(Shards(str(packs / '3'), indices=2)) == ['000000000', '000000001']
    assert keys(Shards(str(packs / '3'), 'train', indices=-1)) == ['000000023']
    assert keys(Shards(str(packs / '3'), indices=[7, 5])) == ['000000007', '000000005']
    repeated = RepeatDataset(dataset, 2)  # initialises it again
    assert (len(dataset), len(repeated)) == (2, 4)
    assert keys(dataset.get_subset(1)) == keys(dataset)[:1]
    assert len(dataset) == 2


def loader(root, sampler, workers, **options):
    dataset = SeededSamples(dict(type='mmrot.Shards', data_root=str(root)), 3)
    sampler = SeededSampler(dict(type=sampler, **options), dataset, 3)
    return DataLoader(dataset, 3, sampler=sampler, collate_fn=list, num_workers=workers)


def sequence(data, length=24):
    return [s['img_path'][-9:] for batch in islice(data, length // 3) for s in batch]


def _write_epochs(folder, root):
    data = loader(root, 'mmrot.BlockSampler', 2, block_size=4, window=2)
    for epoch in range(2):
        data.sampler.set_epoch(epoch)
        text = '\n'.join(
            f'{s["img_path"][-9:]} {s["sample_idx"]}' for batch in data for s in batch
        )
        (folder / f'{epoch}_{get_rank()}').write_text(text)


def test_two_processes_of_two_workers_see_every_sample_once(packs, tmp_path):
    run_ranks(partial(_write_epochs, root=packs / '8'), 2, tmp_path)
    epochs = []
    for epoch in range(2):
        parts = [(tmp_path / f'{epoch}_{rank}').read_text().splitlines() for rank in (0, 1)]
        assert [len(part) for part in parts] == [12, 12]
        assert sorted(parts[0] + parts[1]) == [f'{i:09d} {i}' for i in range(24)]
        epochs.append(parts)
    assert epochs[0] != epochs[1]
    single = loader(packs / '3', 'mmrot.BlockSampler', 0, block_size=4, window=2)
    merged = [line[:9] for pair in zip(*epochs[0], strict=True) for line in pair]
    assert sequence(single) == merged  # neither on the processes nor on the shards


@pytest.mark.parametrize(
    'sampler',
    ['DefaultSampler', 'mmrot.BlockSampler', 'InfiniteSampler', 'mmrot.InfiniteBlockSampler'],
)
def test_resumed_sequence_does_not_depend_on_workers_and_shards(sampler, packs):
    options = dict(block_size=4, window=2) if 'Block' in sampler else {}
    whole = sequence(loader(packs / '8', sampler, 2, **options))
    assert sorted(whole) == [f'{i:09d}' for i in range(24)]
    for workers, shards in ((0, 8), (1, 3)):
        rest = loader(packs / str(shards), sampler, workers, **options)
        rest.sampler.skip(9)
        assert sequence(rest, 15) == whole[9:]


def test_damaged_image_is_named_by_shard_and_key(pack):
    dataset = Shards(str(pack), pipeline=LOAD)
    offset, size = int(dataset._offsets[4]), int(dataset._sizes[4])
    content = bytearray((pack / '000001.tar').read_bytes())
    content[offset : offset + size] = bytes(size)
    (pack / '000001.tar').write_bytes(content)
    with pytest.raises(ImageError, match=r'image .*pack/000001\.tar/000000004: no image header'):
        Shards(str(pack), pipeline=LOAD)[4]


def test_damaged_packs_are_refused(pack):
    shard = pack / '000002.tar'
    content = shard.read_bytes()
    open_dataset = Shards(str(pack))
    shard.write_bytes(content[:1000])
    with pytest.raises(UserError, match=r'000002\.tar has 1,000 bytes, but its index says 10,240'):
        Shards(str(pack))
    with pytest.raises(UserError, match=r'000002\.tar/000000008 is beyond the end of its shard'):
        open_dataset[8]
    shard.unlink()
    with pytest.raises(UserError, match=r'shard .*000002\.tar is missing'):
        Shards(str(pack))
    shard.write_bytes(content)
    index = pack / 'index.npz'
    with np.load(index) as arrays:
        changed = {**arrays, 'counts': arrays['counts'] + 1}
    np.savez(index, **changed)
    with pytest.raises(UserError, match=r'index\.npz is damaged: its arrays contradict'):
        Shards(str(pack))
    index.write_bytes(index.read_bytes()[:100])
    with pytest.raises(UserError, match=r'index\.npz is damaged: not a zip archive'):
        Shards(str(pack))
    index.unlink()
    with pytest.raises(UserError, match=r'index\.npz is missing because the pack is inc'):
        Shards(str(pack))
    with pytest.raises(UserError, match=r'index\.npz does not exist'):
        Shards(str(pack / 'nowhere'))


def test_unknown_or_empty_split_is_refused(packs, photo_folder, tmp_path):
    with pytest.raises(UserError, match="split='test' is not one of all, train, val"):
        Shards(str(packs / '3'), 'test')
    shutil.copytree(photo_folder, tmp_path / 'one', ignore=lambda *_: ['holiday'])
    for path in sorted((tmp_path / 'one').glob('*.jpg'))[1:]:
        path.unlink()
    pack_photos(tmp_path / 'one', tmp_path / 'out')
    with pytest.raises(UserError, match="out has no photos for split='train'"):
        Shards(str(tmp_path / 'out'), 'train')


@pytest.mark.parametrize('workers', [0, 2])
def test_command_copies_each_shard_once(workers, packs, tmp_path):
    root = f'pipe:echo {{shard}} >> {tmp_path}/log; cat {packs}/8/{{shard}}'
    dataset = Shards(root, cache_dir=str(tmp_path / 'cache'))
    samples = [
        s for batch in DataLoader(dataset, 3, collate_fn=list, num_workers=workers) for s in batch
    ]
    assert [(s['sample_idx'], s['img_bytes']) for s in samples] == read(Shards(str(packs / '8')))
    log = (tmp_path / 'log').read_text().split()
    assert sorted(log) == [*(f'{i:06d}.tar' for i in range(8)), 'index.npz']
    assert read(Shards(root, cache_dir=str(tmp_path / 'cache')))[0][1] == samples[0]['img_bytes']
    assert (tmp_path / 'log').read_text().split()[9:] == ['index.npz']
    (shard,) = (tmp_path / 'cache').glob('*/000000.tar')
    shard.write_bytes(shard.read_bytes()[:700])  # copied again
    dataset = Shards(root, cache_dir=str(tmp_path / 'cache'))
    dataset._fully_initialized = False
    dataset.full_init()
    assert read(dataset)[0][1] == samples[0]['img_bytes']
    assert len([*(tmp_path / 'cache').iterdir()]) == 1


def test_failing_command_is_reported(pack, tmp_path):
    root = f'pipe:cat {pack}/{{shard}}'
    dataset = Shards(root, cache_dir=str(tmp_path / 'cache'))
    (pack / '000000.tar').write_bytes(b'short')
    (pack / '000001.tar').unlink()
    with pytest.raises(UserError, match=r'000000\.tar has 5 bytes, but its index says 10,240'):
        dataset[0]
    with pytest.raises(UserError, match=r'cat .*000001\.tar ended with status 1: cat: .*No such'):
        dataset[3]
    assert not [*(tmp_path / 'cache').glob('*/*.tar')]
    with pytest.raises(UserError, match='needs cache_dir'):
        Shards(root)
    with pytest.raises(UserError, match=re.escape('has no {shard}')):
        Shards('pipe:cat', cache_dir=str(tmp_path))


class Ranges(http.server.SimpleHTTPRequestHandler):
    """A server that answers requests for byte ranges, unless the path is in /whole."""

    def log_message(self, *_):
        pass

    def send_head(self):
        self.path, whole = self.path.removeprefix('/whole'), self.path.startswith('/whole')
        wanted = re.fullmatch(r'bytes=(\d+)-(\d+)', self.headers.get('Range', ''))
        if wanted is None or whole:
            return super().send_head()
        with open(self.translate_path(self.path), 'rb') as file:
            file.seek(int(wanted[1]))
            data = file.read(int(wanted[2]) - int(wanted[1]) + 1)
        self.send_response(206)
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def test_web_server(packs, tmp_path):
    expected = read(Shards(str(packs / '8')))
    with http.server.ThreadingHTTPServer(
        ('127.0.0.1', 0), partial(Ranges, directory=packs)
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f'http://127.0.0.1:{server.server_port}'
        assert read(Shards(f'{url}/8')) == expected
        with pytest.raises(UserError, match='the server ignores byte ranges'):
            Shards(f'{url}/whole/8')[0]
        assert read(Shards(f'{url}/whole/8', cache_dir=str(tmp_path))) == expected
        with pytest.raises(UserError, match=r'^http\S*/2/index\.npz cannot be read: HTTP'):
            Shards(f'{url}/2')
        server.shutdown()


@pytest.mark.parametrize('cached', [False, True])
def test_object_store(cached, packs, tmp_path):
    store = fsspec.filesystem('memory')
    store.put(str(packs / '3'), '/bucket', recursive=True)
    dataset = Shards('memory://bucket', cache_dir=str(tmp_path) if cached else None)
    assert read(dataset) == read(Shards(str(packs / '3')))
    store.rm('/bucket', recursive=True)
    with pytest.raises(UserError, match=r'memory://bucket/index\.npz'):
        Shards('memory://bucket')
    with pytest.raises(UserError, match='Protocol not known'):
        Shards('nothing://bucket')


def test_network_failures_are_retried(packs, monkeypatch):
    monkeypatch.setattr('time.sleep', lambda _: None)
    store = fsspec.filesystem('memory')
    store.put(str(packs / '3'), '/bucket', recursive=True)
    dataset = Shards('memory://bucket')
    busy = HTTPError('', 429, 'Too Many Requests', Message(), None)
    fetch, failures = type(store).cat_file, [ConnectionResetError(), TimeoutError(), busy]

    def flaky(*args, **kwargs):
        if failures:
            raise failures.pop()
        return fetch(*args, **kwargs)

    monkeypatch.setattr(type(store), 'cat_file', flaky)
    assert dataset[5]['img_bytes'] == read(Shards(str(packs / '3')))[5][1]
    failures += [ConnectionResetError('reset')] * 9
    with pytest.raises(UserError, match=r'000000\.tar cannot be read: reset'):
        dataset[5]
    store.rm('/bucket', recursive=True)


def test_full_disk_names_the_cache(packs, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    store = fsspec.filesystem('memory')
    store.put(str(packs / '3'), '/bucket', recursive=True)
    dataset = Shards('memory://bucket', cache_dir=str(tmp_path))
    monkeypatch.setattr('shutil.copyfileobj', full)
    with pytest.raises(UserError, match=rf'copied to {tmp_path}/\w+: No space left on device'):
        dataset[0]
    store.rm('/bucket', recursive=True)
