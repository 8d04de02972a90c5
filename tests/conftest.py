"""Tiny datasets in the layouts of the real ones, and the host's registry scope."""

import gc
import json
import os
import pickle
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers import ROOT, forget_jobs, free_port, write_photo
from mmengine.registry import DefaultScope
from torch import nn

from mmrot.models import AlexNet, ResNet


@pytest.fixture(scope='module', autouse=True)
def _quick_garbage_collection() -> None:
    """Exempt what has been imported, because mmengine collects garbage for every dataset."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _mmpretrain_scope(request) -> Iterator[None]:
    """Build in the scope that the configs are in, and leave nothing behind."""
    DefaultScope.get_instance(request.node.nodeid, scope_name='mmpretrain')
    yield
    forget_jobs()


@pytest.fixture(scope='session', autouse=True)
def _unformatted_configs() -> Iterator[None]:
    """Skip yapf, which mmengine calls whenever it logs or saves a config: 1 to 2 s per job."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('yapf.yapflib.yapf_api.FormatCode', lambda text, **style: (text, False))
        yield


def _write_pretrained(network: nn.Module, path: Path) -> Path:
    """Write a backbone as a pretraining checkpoint."""
    state = {f'backbone.{key}': value for key, value in network.state_dict().items()}
    torch.save({'state_dict': {**state, 'head.fc.weight': torch.rand(4, 8)}}, path)
    return path


@pytest.fixture(scope='session')
def alexnet_checkpoint(tmp_path_factory) -> Path:
    """A pretraining checkpoint of an AlexNet whose fc6 and fc7 have 64 channels."""
    torch.manual_seed(0)
    network = AlexNet(fc_channels=64)
    network.init_weights()
    return _write_pretrained(network, tmp_path_factory.mktemp('weights') / 'alexnet.pth')


@pytest.fixture(scope='session')
def resnet_checkpoint(tmp_path_factory) -> Path:
    """A pretraining checkpoint of a ResNet-18."""
    torch.manual_seed(0)
    return _write_pretrained(ResNet(18), tmp_path_factory.mktemp('weights') / 'resnet18.pth')


@pytest.fixture(scope='session')
def photo_folder(tmp_path_factory) -> Path:
    """24 photos, some in nested folders, beside a file that is none."""
    root = tmp_path_factory.mktemp('photos')
    rng = np.random.default_rng(0)
    for index in range(24):
        folder = ('', 'holiday', 'holiday/day 2')[index % 3]
        write_photo(root / folder / f'{index:02d}.jpg', rng)
    (root / 'notes.txt').write_text('not a photo')
    return root


@pytest.fixture(scope='session')
def data_root(tmp_path_factory) -> Path:
    """Tiny ImageNet, Places205, iNaturalist 2018 and CIFAR-10 in their real layouts."""
    root = tmp_path_factory.mktemp('data')
    rng = np.random.default_rng(0)
    for split, count in (('train', 8), ('val', 4)):
        lines = []
        for index in range(count):
            name = f'n{index % 2:08d}/{split}_{index}.JPEG'
            write_photo(root / 'imagenet' / split / name, rng, (250, 300))
            lines.append(f'{name} {index % 2}\n')
        meta = root / 'imagenet/meta' / f'{split}.txt'
        meta.parent.mkdir(exist_ok=True)
        meta.write_text(''.join(lines))

        lines = []
        images = root / 'places205/data/vision/torralba/deeplearning/images256'
        for index in range(count):
            name = f'a/abbey/{split}_{index}.jpg'
            write_photo(images / name, rng, (256, 256))
            lines.append(f'{name} {index % 2}\n')
        listing = root / 'places205/trainvalsplit_places205' / f'{split}_places205.csv'
        listing.parent.mkdir(exist_ok=True)
        listing.write_text(''.join(lines))

        images, annotations = [], []
        for index in range(count):
            name = f'train_val2018/Aves/{index % 2}/{split}_{index}.jpg'
            write_photo(root / 'inaturalist2018' / name, rng, (240, 320))
            # ids neither begin at 0 nor follow the order
            images.append(dict(id=100 - index, file_name=name, width=320, height=240))
            annotations.append(dict(id=index, image_id=100 - index, category_id=index % 2))
        content = dict(images=images, annotations=annotations[::-1])
        (root / f'inaturalist2018/{split}2018.json').write_text(json.dumps(content))

    batches = root / 'cifar10/cifar-10-batches-py'
    batches.mkdir(parents=True)
    for name in [f'data_batch_{index}' for index in range(1, 6)] + ['test_batch']:
        data = rng.integers(0, 256, (4, 3072), dtype=np.uint8)
        (batches / name).write_bytes(pickle.dumps({'data': data, 'labels': [0, 1, 2, 3]}))
    (batches / 'batches.meta').write_bytes(pickle.dumps({'label_names': list('abcdefghij')}))
    return root


@pytest.fixture(scope='session')
def labelled_folder(tmp_path_factory) -> Path:
    """Photos of three classes, told apart by their brightness: 4 + 2 of each."""
    root = tmp_path_factory.mktemp('labelled') / 'three classes'
    rng = np.random.default_rng(0)
    for split, count in (('train', 4), ('test', 2)):
        for label, name in enumerate(('dark', 'grey', 'light')):
            for index in range(count):
                image = rng.integers(0, 40, (40, 48, 3)) + 90 * label
                path = root / split / name / f'{index}.png'
                path.parent.mkdir(parents=True, exist_ok=True)
                assert cv2.imwrite(str(path), image.astype(np.uint8))
    return root


_XML = """<annotation><folder>VOC2007</folder><filename>{name}.jpg</filename>
<size><width>128</width><height>96</height><depth>3</depth></size>
<object><name>{label}</name><difficult>0</difficult><bndbox>
<xmin>{x}</xmin><ymin>{y}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object></annotation>"""


@pytest.fixture(scope='session')
def voc(tmp_path_factory) -> Path:
    """VOC 2007 in its layout: 4 images to train on, 2 to test on, a bright square on each."""
    root = tmp_path_factory.mktemp('VOCdevkit')
    rng = np.random.default_rng(0)
    for folder in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (root / 'VOC2007' / folder).mkdir(parents=True)
    for split, indices in (('trainval', range(4)), ('test', range(4, 6))):
        names = [f'{index:06d}' for index in indices]
        (root / f'VOC2007/ImageSets/Main/{split}.txt').write_text('\n'.join(names) + '\n')
        for name in names:
            image = rng.integers(0, 60, (96, 128, 3), dtype=np.uint8)
            x, y = (int(v) for v in rng.integers(5, 40, 2))
            image[y : y + 45, x : x + 45] = 240
            cv2.imwrite(str(root / f'VOC2007/JPEGImages/{name}.jpg'), image)
            xml = _XML.format(name=name, label='dog', x=x, y=y, x2=x + 45, y2=y + 45)
            (root / f'VOC2007/Annotations/{name}.xml').write_text(xml)
    return root


@pytest.fixture
def _any_cifar10(monkeypatch) -> None:
    """Accept CIFAR-10 files of any checksum: the tiny ones."""
    monkeypatch.setattr('mmpretrain.datasets.CIFAR10._check_integrity', lambda self: True)


@pytest.fixture
def run_tool(monkeypatch) -> Callable[..., None]:
    """Run a script of tools/ in this process: ``run_tool('train', arg, ...)``."""

    def run(name: str, *args: object) -> None:
        forget_jobs()
        script = ROOT / 'tools' / f'{name}.py'
        monkeypatch.setattr('sys.argv', [str(script), *map(str, args)])
        runpy.run_path(str(script), run_name='__main__')

    return run


@pytest.fixture
def run_benchmark() -> Callable[..., str]:
    """Run a command of tools/benchmarks/ with two processes, and give what it prints."""

    def run(name: str, checkpoint: object, *args: object) -> str:
        done = subprocess.run(
            [str(part) for part in (ROOT / 'tools/benchmarks' / name, checkpoint, 2, *args)],
            capture_output=True,
            text=True,
            env={
                **os.environ,
                'PYTHON': sys.executable,
                'PORT': str(free_port()),
                'PYTHONWARNINGS': 'ignore',
            },
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def boxes(tmp_path):
    """Four images with one bright square each, its box and its mask."""
    rng = np.random.default_rng(0)
    coco = dict(images=[], annotations=[], categories=[dict(id=1, name='box')])
    for folder in ('img', 'ann'):
        (tmp_path / folder).mkdir()
    for index in range(4):
        image = rng.integers(0, 50, (64, 64, 3), dtype=np.uint8)
        mask = np.zeros((64, 64), np.uint8)
        x, y = rng.integers(5, 30, 2)
        image[y : y + 20, x : x + 20] = 250
        mask[y : y + 20, x : x + 20] = 1
        cv2.imwrite(str(tmp_path / f'img/{index}.jpg'), image)
        cv2.imwrite(str(tmp_path / f'ann/{index}.png'), mask)
        name = f'img/{index}.jpg'
        coco['images'].append(dict(id=index, file_name=name, width=64, height=64))
        box = [int(x), int(y), 20, 20]
        coco['annotations'].append(
            dict(id=index, image_id=index, category_id=1, bbox=box, area=400, iscrowd=0)
        )
    (tmp_path / 'ann.json').write_text(json.dumps(coco))
    return tmp_path
