import numpy as np
import pytest
import torch
from helpers import run_ranks, tiny_config, write_photo
from mmengine.dist import get_rank
from mmengine.registry import DATASETS
from torch.utils.data import Dataset

from mmrot.datasets.seeded_samples import SeededSamples
from mmrot.engine import Runner, bad_images
from mmrot.engine.bad_images import BadImages
from mmrot.errors import ImageError, UserError


@DATASETS.register_module(force=True)
class NoneDecodes(Dataset):
    """24 samples of 12 files, each of them empty."""

    def __len__(self):
        return 24

    def get_data_info(self, index):
        return dict(img_path=f'{index // 2:02}.jpg')

    def __getitem__(self, index):
        raise ImageError(f'image {index // 2:02}.jpg: empty file.')


@pytest.fixture
def dataset():
    return SeededSamples(dict(type='NoneDecodes'), 0)


def test_files_are_named_and_counted_once(dataset, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(bad_images, 'print_log', lambda message, *_: said.append(message))
    bad = BadImages(str(tmp_path), 0.001)
    bad.report(dataset, [6, 7])
    bad.report(dataset, [1, 7])
    assert [message.partition(' Another')[0] for message in said] == [
        'image 03.jpg: empty file.',
        'image 00.jpg: empty file.',
    ]
    assert said[1].endswith('Bad images so far: 2; training stops above 10.')
    assert (tmp_path / 'bad_images.txt').read_text() == '00.jpg\n03.jpg\n'
    bad.report(dataset, range(20))  # 10 files
    with pytest.raises(UserError, match=r'11 of 24 images .* more than 10: 00\.jpg, 01\.jpg, '):
        bad.report(dataset, [22])
    assert (tmp_path / 'bad_images.txt').read_text().splitlines()[-1] == '11.jpg'


def test_none_is_allowed(dataset, tmp_path):
    with pytest.raises(UserError, match=r'1 of 24 images .* more than 0: 00\.jpg\. All are'):
        BadImages(str(tmp_path), 0).report(dataset, [0])


def _report_different(folder):
    dataset = SeededSamples(dict(type='NoneDecodes'), 0)
    bad = BadImages(str(folder), 0.001)
    group = torch.distributed.group.WORLD
    bad.report(dataset, [0, 2] if get_rank() else [], group)
    assert bad._errors.keys() == {'00.jpg', '01.jpg'}
    with pytest.raises(UserError, match='12 of 24 images'):
        bad.report(dataset, range(12) if get_rank() else range(12, 24), group)


def test_files_of_all_processes_count(tmp_path):
    run_ranks(_report_different, 2, tmp_path)


def photos_config(root, work_dir, **changes):
    """Photos, of which one in each split cannot be decoded."""
    rng = np.random.default_rng(0)
    for index in range(9):
        for split in ('train', 'val'):
            write_photo(root / split / f'{index}.jpg', rng)
    image = (root / 'train/3.jpg').read_bytes()
    (root / 'train/3.jpg').write_bytes(image[: len(image) // 2])
    (root / 'val/0.jpg').write_bytes(b'')
    pipeline = [
        dict(type='mmrot.LoadImage'),
        dict(type='mmpretrain.Resize', scale=(16, 16)),
        dict(type='mmpretrain.PackInputs'),
    ]
    cfg = tiny_config(work_dir, **changes)
    for split in ('train', 'val'):
        cfg[f'{split}_dataloader'].dataset = dict(
            type='mmrot.ImageFolder', data_root=str(root / split), pipeline=pipeline
        )
    cfg.log_level = 'WARNING'
    return cfg


def test_training_goes_on_and_names_the_files(tmp_path):
    cfg = photos_config(tmp_path / 'photos', tmp_path / 'run')
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.iter == 3
    train, val = (str(tmp_path / 'photos' / name) for name in ('train/3.jpg', 'val/0.jpg'))
    assert (tmp_path / 'run/bad_images.txt').read_text() == f'{train}\n{val}\n'
    (log,) = (tmp_path / 'run').glob('*/*.log')
    assert log.read_text().count('cannot be decoded') == 1
    assert f'image {val}: empty file. Another image takes its place.' in log.read_text()


def test_training_stops_at_the_first_bad_image_if_none_is_allowed(tmp_path):
    cfg = photos_config(tmp_path / 'photos', tmp_path / 'run', max_bad_share=0)
    with pytest.raises(UserError, match=r'1 of 9 images .*train/3\.jpg'):
        Runner.from_cfg(cfg).train()
