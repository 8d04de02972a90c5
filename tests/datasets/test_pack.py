import json
import multiprocessing
import os
import shutil
import signal
import tarfile
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import write_photo

from mmrot.cli.pack import main
from mmrot.datasets import ImageFolder, pack
from mmrot.datasets.pack import pack_photos
from mmrot.errors import UserError


def contents(folder):
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith('.')
    }


@pytest.fixture(scope='module')
def packed(photo_folder, tmp_path_factory):
    """24 photos in 8 shards."""
    out = tmp_path_factory.mktemp('pack') / 'out'
    assert pack_photos(photo_folder, out, shard_size=3, jobs=2)[:2] == (24, 8)
    return out


def test_shards_hold_the_files_in_order(packed, photo_folder):
    paths = [
        info['img_path'] for info in map(ImageFolder(str(photo_folder)).get_data_info, range(24))
    ]
    found = []
    for number in range(8):
        record = json.loads((packed / f'{number:06d}.json').read_text())
        with tarfile.open(packed / f'{number:06d}.tar') as tar:
            for member, (key, offset, size, name) in zip(tar, record['images'], strict=True):
                assert member.name == f'{key:09d}.jpg'
                assert (member.offset_data, member.size) == (offset, size)
                assert str(photo_folder / name) == paths[key]
                found.append(tar.extractfile(member).read())
    assert found == [Path(path).read_bytes() for path in paths]


def test_interrupted_pack_resumes_to_the_same_files(packed, photo_folder, tmp_path):
    out = tmp_path / 'out'
    shutil.copytree(packed, out)
    for name in ('index.npz', '000003.json', '000004.tar', '000006.tar', '000006.json'):
        (out / name).unlink()
    (out / '000005.tar').write_bytes(b'part')
    before = {name: (out / f'{name}.tar').stat().st_mtime_ns for name in ('000000', '000007')}
    pack_photos(photo_folder, out, shard_size=3)
    assert contents(out) == contents(packed)
    assert before == {name: (out / f'{name}.tar').stat().st_mtime_ns for name in before}


def test_killed_pack_resumes(packed, photo_folder, tmp_path, monkeypatch):
    class SlowLoadImage(pack.LoadImage):
        def transform(self, results):
            time.sleep(0.05)
            return super().transform(results)

    out = tmp_path / 'out'
    with monkeypatch.context() as context:
        context.setattr(pack, 'LoadImage', SlowLoadImage)
        process = multiprocessing.get_context('fork').Process(
            target=pack_photos, args=(photo_folder, out), kwargs=dict(shard_size=3)
        )
        process.start()
        while process.is_alive() and not (out / '000001.json').exists():
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    assert not (out / 'index.npz').exists()
    assert not (out / '000007.tar').exists()
    pack_photos(photo_folder, out, shard_size=3)
    assert contents(out) == contents(packed)


def test_large_photos_are_resized(tmp_path):
    rng = np.random.default_rng(0)
    write_photo(tmp_path / 'photos/0.png', rng, (64, 96))
    write_photo(tmp_path / 'photos/1.JPG', rng, (32, 96))
    pack_photos(tmp_path / 'photos', tmp_path / 'out', short_side=32)
    with tarfile.open(tmp_path / 'out/000000.tar') as tar:
        assert tar.getnames() == ['000000000.jpg', '000000001.jpg']
        large, small = (tar.extractfile(member).read() for member in tar)
    image = cv2.imdecode(np.frombuffer(large, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (32, 48, 3)
    original = cv2.imread(str(tmp_path / 'photos/0.png'))
    expected = original.reshape(32, 2, 48, 2, 3).mean((1, 3))
    assert np.abs(image - expected).mean() < 5
    assert small == (tmp_path / 'photos/1.JPG').read_bytes()


def test_bad_photos_are_skipped_and_named(photo_folder, tmp_path, capsys):
    shutil.copytree(photo_folder, tmp_path / 'photos')
    (tmp_path / 'photos/00.jpg').write_bytes(b'')
    (tmp_path / 'photos/03.jpg').write_bytes(b'no image')
    arguments = [str(tmp_path / 'photos'), str(tmp_path / 'out'), '--shard-size', '10']
    for _ in range(2):  # the second time, nothing is left to do
        main([*arguments, '--jobs', '1'])
        printed = capsys.readouterr().out
        assert 'out: 22 photos in 3 shards, 0.1 MB\n' in printed
        assert (
            f'Skipped 2 photos that cannot be decoded: image {tmp_path}/photos/00.jpg: empty '
            f'file., image {tmp_path}/photos/03.jpg: no image header'
        ) in printed
    with tarfile.open(tmp_path / 'out/000000.tar') as tar:
        assert tar.getnames()[0] == '000000002.jpg'  # keys do not change


def test_folder_of_bad_photos_is_refused(tmp_path):
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'photos/a.jpg').touch()
    with pytest.raises(
        UserError, match=r'none of the photos can be decoded: .*a\.jpg: empty file'
    ):
        pack_photos(tmp_path / 'photos', tmp_path / 'out')


def test_pack_of_other_photos_or_settings_is_refused(packed, photo_folder, tmp_path):
    before = contents(packed)
    with pytest.raises(UserError, match='was packed with shard_size=3, not 4'):
        pack_photos(photo_folder, packed, shard_size=4)
    with pytest.raises(UserError, match='short_side=None, not 8'):
        pack_photos(photo_folder, packed, shard_size=3, short_side=8)
    with pytest.raises(UserError, match=f'other photos than those now in {photo_folder}/hol'):
        pack_photos(photo_folder / 'holiday', packed, shard_size=3)
    assert contents(packed) == before
    (tmp_path / 'file.txt').touch()
    for out in (tmp_path, tmp_path / 'file.txt'):
        with pytest.raises(UserError, match=f'{out} exists and is not a folder of shards'):
            pack_photos(photo_folder, out)
    (tmp_path / 'pack.json').write_text('[]')
    with pytest.raises(UserError, match=r'pack\.json is damaged'):
        pack_photos(photo_folder, tmp_path)


def test_two_packs_at_a_time_are_refused(photo_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(pack, '_PATIENCE', 0)
    monkeypatch.setattr(pack, '_prepare', lambda *_: None)
    with (
        pack.FileLock(tmp_path / '.lock'),
        pytest.raises(UserError, match='another process is packing'),
    ):
        pack_photos(photo_folder, tmp_path)
