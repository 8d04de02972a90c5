import cv2
import numpy as np
import pytest
import torch
from helpers import logged, losses, shipped
from mmcv.transforms import RandomFlip
from mmengine.runner import set_random_seed
from mmpretrain.datasets.transforms import RandomCrop, RandomResizedCrop
from PIL import Image, ImageOps
from torch.utils.data import DataLoader

import mmrot
from mmrot.apis import in_memory
from mmrot.datasets import InMemoryImages
from mmrot.datasets.in_memory_images import (
    CROP_DRAWS,
    crop_and_flip,
    identity_collate,
    resize_crops,
    sample_crops,
    uniform,
)
from mmrot.datasets.seeded_samples import SeededSamples
from mmrot.errors import ImageError
from mmrot.results import read_records

DIGITS = mmrot.config_path('rotnet/nin4_digits.py')


def folder(root, shapes=((8, 8),) * 5) -> dict:
    """Config of a folder of photos with a deterministic pipeline."""
    rng = np.random.default_rng(0)
    for index, shape in enumerate(shapes):
        (root / f'class{index % 2}').mkdir(exist_ok=True)
        image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
        cv2.imwrite(str(root / f'class{index % 2}/{index}.png'), image)
    return dict(
        type='mmpretrain.CustomDataset',
        data_root=str(root),
        pipeline=[dict(type='mmpretrain.LoadImageFromFile'), dict(type='mmpretrain.PackInputs')],
    )


def test_crop_and_flip_pads_crops_and_mirrors():
    image = torch.arange(1.0, 5).reshape(1, 1, 2, 2)  # 1 2 / 3 4
    batch = image.repeat(4, 1, 1, 1)
    offsets = torch.tensor([[1, 1], [0, 0], [2, 1], [0, 1]])
    flips = torch.tensor([False, False, False, True])
    found = crop_and_flip(batch, 1, offsets, flips)[:, 0].tolist()
    assert found == [
        [[1, 2], [3, 4]],
        [[0, 0], [0, 1]],
        [[3, 4], [0, 0]],
        [[0, 0], [2, 1]],
    ]


class PlacedCrop(RandomCrop):
    """RandomCrop at given offsets, one after the other."""

    def rand_crop_params(self, img):
        return (*next(self.offsets), *self.crop_size)


def test_crop_and_flip_equals_the_transforms():
    """With equal offsets and flips, the crops equal those of RandomCrop and RandomFlip."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    offsets = rng.integers(0, 9, (6, 2))
    crop = PlacedCrop(crop_size=32, padding=4)
    crop.offsets = iter(offsets.tolist())
    flip = RandomFlip(prob=1.0, direction='horizontal')
    flips = torch.arange(6) % 2 == 1
    expected = []
    for image, mirrored in zip(images, flips, strict=True):
        cropped = crop(dict(img=image))
        expected.append((flip(cropped) if mirrored else cropped)['img'])
    expected = torch.from_numpy(np.stack(expected)).permute(0, 3, 1, 2)
    batch = torch.from_numpy(images).permute(0, 3, 1, 2)
    found = crop_and_flip(batch, 4, torch.from_numpy(offsets), flips)
    assert torch.equal(found, expected)


class PlacedResizedCrop(RandomResizedCrop):
    """RandomResizedCrop of given boxes, one after the other."""

    def rand_crop_params(self, img):
        return next(self.boxes)


CROPS = [
    [0, 0, 32, 32],
    [3, 5, 20, 27],
    [12, 0, 20, 20],
    [1, 2, 24, 19],
    [7, 8, 25, 24],
    [0, 9, 13, 17],
]
FLIPS = [False, True] * 3


def random_images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)


def assert_resized_to(expected: list[np.ndarray], size: int) -> None:
    batch = torch.from_numpy(random_images()).permute(0, 3, 1, 2)
    found = resize_crops(batch, torch.tensor(CROPS), size, torch.tensor(FLIPS))
    assert found.dtype == torch.uint8
    difference = found.permute(0, 2, 3, 1).int() - torch.from_numpy(np.stack(expected)).int()
    assert difference.abs().max() <= 1


def test_resize_crops_equals_the_transforms():
    """With equal crops and flips, the images equal those of RandomResizedCrop and RandomFlip."""
    crop = PlacedResizedCrop(
        scale=32, crop_ratio_range=(0.4, 1.0), interpolation='bicubic', backend='pillow'
    )
    crop.boxes = iter(CROPS)
    flip = RandomFlip(prob=1.0, direction='horizontal')
    expected = []
    for image, mirrored in zip(random_images(), FLIPS, strict=True):
        cropped = crop(dict(img=image))
        expected.append((flip(cropped) if mirrored else cropped)['img'])
    assert np.array_equal(expected[0], random_images()[0])
    assert_resized_to(expected, 32)


@pytest.mark.parametrize('size', [20, 12])
def test_resize_crops_shrinks_the_width_first(size):
    """As Pillow did before version 13, which chooses the order that is faster."""
    expected = []
    crops = zip(random_images(), CROPS, FLIPS, strict=True)
    for image, (top, left, height, width), mirrored in crops:
        cropped = Image.fromarray(image[top : top + height, left : left + width])
        for shape in ((size, height), (size, size)):
            cropped = cropped.resize(shape, Image.Resampling.BICUBIC)
        expected.append(np.asarray(ImageOps.mirror(cropped) if mirrored else cropped))
    assert_resized_to(expected, size)


@pytest.mark.parametrize(
    ('crop_ratio_range', 'aspect_ratio_range'),
    [
        ((0.4, 1.0), (3 / 4, 4 / 3)),
        ((0.2, 1.0), (1 / 2, 2)),
        ((0.8, 1.0), (3 / 4, 4 / 3)),
        ((1.0, 1.0), (3 / 4, 4 / 3)),
    ],
)
def test_sample_crops_have_the_distribution_of_the_transform(crop_ratio_range, aspect_ratio_range):
    set_random_seed(0)
    ranges = dict(crop_ratio_range=crop_ratio_range, aspect_ratio_range=aspect_ratio_range)
    crop = RandomResizedCrop(scale=32, **ranges)
    image = np.zeros((32, 32, 3), np.uint8)
    expected = torch.tensor([crop.rand_crop_params(image) for _ in range(4000)])
    found = sample_crops(uniform(torch.arange(4000), CROP_DRAWS), 32, **ranges)
    corners = found[:, :2] + found[:, 2:]
    assert found.min() >= 0
    assert corners.max() <= 32
    # standard errors are at most 0.12 pixels
    torch.testing.assert_close(found.double().mean(0), expected.double().mean(0), rtol=0, atol=0.4)
    torch.testing.assert_close(found.double().std(0), expected.double().std(0), rtol=0, atol=0.4)
    ratio = (found[:, 3] / found[:, 2]).log()
    assert ratio.mean().abs() < 0.02
    if crop_ratio_range == (1.0, 1.0):
        assert (found == torch.tensor([0, 0, 32, 32])).all(1).float().mean() > 0.9


def test_in_memory_images_are_cropped_and_resized(tmp_path):
    torch.manual_seed(0)
    dataset = InMemoryImages(folder(tmp_path), crop_size=6, crop_ratio_range=(0.4, 1), flip=True)
    batch = dataset.__getitems__([0] * 50)['inputs']
    assert batch.shape == (50, 3, 6, 6)
    assert len(batch.unique(dim=0)) > 40
    assert InMemoryImages(dataset.dataset, crop_ratio_range=(0.4, 1))[0]['inputs'].shape[1] == 8
    (tmp_path / 'wide').mkdir()
    wide = folder(tmp_path / 'wide', [(8, 9)])
    with pytest.raises(ValueError, match='8x9 pixels: resized crops need square images'):
        InMemoryImages(wide, crop_ratio_range=(0.4, 1))


def test_in_memory_images_have_the_distribution_of_the_pipeline(tmp_path):
    """A pixel lands at each position as often as in the pipeline and in theory."""
    torch.manual_seed(0)
    dataset = InMemoryImages(folder(tmp_path), crop_size=8, padding=4, flip=True)
    image = np.zeros((8, 8, 1), dtype=np.uint8)
    image[4, 3] = 1  # its position reveals offset and flip
    dataset.images = torch.from_numpy(image).permute(2, 0, 1)[None]
    draws = 20000
    memory = sum(dataset.__getitems__([0] * 1000)['inputs'].sum((0, 1)) for _ in range(20))
    pipeline = torch.zeros(8, 8)
    set_random_seed(0)
    crop, flip = RandomCrop(crop_size=8, padding=4), RandomFlip(0.5, 'horizontal')
    for _ in range(draws // 4):
        seen = flip(crop(dict(img=image.copy())))['img'].reshape(8, 8)
        pipeline += 4 * torch.from_numpy(seen.copy())
    # a crop keeps the pixel at rows 0 to 7 for 8 of the 9 offsets, each 1/9; columns 0
    # to 7 for offsets -3 to 4, and mirrored from the other side
    expected = torch.full((8,), 8 / 81)
    for seen in (memory, pipeline):
        for axis in (0, 1):
            torch.testing.assert_close(seen.sum(axis) / draws, expected, rtol=0.15, atol=0)


def test_random_numbers_are_those_of_splitmix64():
    """Against a reference in Python's integers; the state starts at the scrambled seed."""
    mask = 2**64 - 1

    def scramble(z):
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
        return z ^ (z >> 31)

    seeds = [0, 1, -1, 2**63 - 1, -(2**63)]
    expected = [
        [
            (scramble(scramble(s & mask) + k * 0x9E3779B97F4A7C15 & mask) >> 40) / 2**24
            for k in (1, 2)
        ]
        for s in seeds
    ]
    assert uniform(torch.tensor(seeds), 2).tolist() == expected


def test_random_numbers_are_uniform_and_independent():
    draws = uniform(torch.arange(20_000), 4).double()
    assert draws.min() >= 0
    assert draws.max() < 1
    torch.testing.assert_close(draws.mean(0), torch.full((4,), 0.5).double(), rtol=0, atol=0.01)
    counts = torch.histc(draws, 10, 0, 1)
    torch.testing.assert_close(counts, torch.full((10,), 8000.0).double(), rtol=0.05, atol=0)
    assert (torch.corrcoef(draws.T) - torch.eye(4)).abs().max() < 0.03
    assert torch.corrcoef(torch.stack([draws[1:, 0], draws[:-1, 0]]))[0, 1].abs() < 0.03


def test_batches_do_not_change_the_images(tmp_path):
    dataset = SeededSamples(
        dict(type='mmrot.InMemoryImages', dataset=folder(tmp_path), padding=4), 3
    )
    together = dataset.__getitems__([0, 4, 2**40])['inputs']
    assert torch.equal(together[1:], dataset.__getitems__([4, 2**40])['inputs'])
    assert not torch.equal(together[0], together[2])  # another epoch


@pytest.mark.slow
def test_in_memory_training_learns(tmp_path, run_tool):
    run_tool(
        *('train', DIGITS, '--in-memory', '--work-dir', tmp_path, '--cfg-options'),
        *('randomness.seed=0', 'train_cfg.max_epochs=4', 'train_cfg.val_interval=4'),
        *('param_scheduler.milestones=[2,3]', 'model.backbone.width=24'),
        'model.head.in_channels=24',
    )
    (row,) = [row for row in logged(tmp_path) if 'rotation/accuracy' in row]
    assert row['rotation/accuracy'] > 60  # chance is 25


def test_in_memory_images_return_batches_and_samples(tmp_path):
    config = folder(tmp_path)
    dataset = InMemoryImages(config)
    batch = dataset.__getitems__([4, 0, 3])
    assert batch['inputs'].shape == (3, 3, 8, 8)
    assert [int(sample.gt_label) for sample in batch['data_samples']] == [1, 0, 1]
    for index, image in zip((4, 0, 3), batch['inputs'], strict=True):
        assert torch.equal(image, dataset.dataset[index]['inputs'])
        assert torch.equal(dataset[index]['inputs'], image)
    assert dataset.get_data_info(4)['gt_label'] == 1
    assert 'data_samples' not in InMemoryImages(config, with_samples=False).__getitems__([0])
    assert identity_collate(batch, _scope_='mmrot') is batch


def test_in_memory_images_reject_other_sizes(tmp_path):
    for name, shapes, message in (
        ('several', ((8, 8), (8, 9)), r'image \d has shape .*, but image 0 has'),
        ('another', ((9, 9),) * 2, 'images of 9x9 pixels do not match crop_size=8'),
    ):
        (tmp_path / name).mkdir()
        with pytest.raises(ValueError, match=message):
            InMemoryImages(folder(tmp_path / name, shapes), crop_size=8)


@pytest.mark.slow
@pytest.mark.usefixtures('_any_cifar10')
def test_in_memory_pretraining_and_probe_run(data_root, tmp_path, run_tool):
    """Training and probing work; the probe's accuracy equals that of the pipeline."""
    options = [
        *(f'data_root={data_root / "cifar10"}', 'train_dataloader.batch_size=4'),
        *('train_cfg.max_epochs=1', 'default_hooks.logger.interval=1', 'randomness.seed=0'),
    ]
    run_tool(
        *('train', mmrot.config_path('rotnet/nin4_cifar10.py'), '--in-memory'),
        *('--work-dir', tmp_path / 'pretrained', '--cfg-options', *options),
        *('model.backbone.width=12', 'model.head.in_channels=12'),
        'default_hooks.checkpoint.interval=1',
    )
    assert len(losses(tmp_path / 'pretrained')) > 1
    run_tool(
        *('train', mmrot.config_path('benchmarks/classification/nin4_conv_cifar10.py')),
        *('--in-memory', '--backbone', tmp_path / 'pretrained/epoch_1.pth'),
        *('--work-dir', tmp_path / 'probe', '--cfg-options', *options),
        *('model.backbone.width=12', 'model.head.probes.conv2.in_channels=12'),
        *('model.head.probes.conv2.width=12', 'default_hooks.checkpoint.interval=1'),
    )
    (record,) = read_records(tmp_path / 'probe')
    run_tool(
        *('test', mmrot.config_path('benchmarks/classification/nin4_conv_cifar10.py')),
        *(tmp_path / 'probe/epoch_1.pth', '--work-dir', tmp_path / 'test', '--out'),
        *(tmp_path / 'metrics.json', '--out-item', 'metrics', '--cfg-options', *options[:1]),
        *('model.backbone.width=12', 'model.head.probes.conv2.in_channels=12'),
        *('model.head.probes.conv2.width=12', 'test_dataloader.num_workers=0'),
    )
    text = (tmp_path / 'metrics.json').read_text()
    assert f'{record.values["accuracy"]:.4g}' in text


def test_in_memory_images_reject_workers(tmp_path):
    loader = DataLoader(
        InMemoryImages(folder(tmp_path)), 2, num_workers=1, collate_fn=identity_collate
    )
    with pytest.raises(ValueError, match='requires a dataloader with num_workers=0'):
        list(loader)


@pytest.mark.parametrize(
    'step',
    [
        dict(type='mmpretrain.ColorJitter', brightness=0.4),
        dict(type='mmpretrain.AutoAugment', policies='imagenet'),
        dict(type='RandomFlip', prob=0.3),
        dict(type='mmpretrain.RandomCrop', crop_size=32, padding=(4, 2)),
        dict(type='mmpretrain.RandomResizedCrop', scale=32, crop_ratio_range=(0.4, 1)),  # cv2
    ],
)
def test_in_memory_rejects_other_random_steps(step):
    cfg = shipped('rotnet/nin4_cifar10.py')
    in_memory(cfg)
    cfg.train_dataloader.dataset.pipeline.insert(0, step)
    with pytest.raises(ValueError, match=f'--in-memory does not support {step["type"]} in'):
        in_memory(cfg)


def test_in_memory_command_rejects_other_random_steps(tmp_path, run_tool):
    with pytest.raises(
        SystemExit, match=r'--in-memory does not support mmpretrain\.RandomResizedCrop in'
    ):
        run_tool(
            *('train', mmrot.config_path('rotnet/alexnet_in1k.py'), '--in-memory'),
            *('--work-dir', tmp_path),
        )


def test_bad_images_are_left_out_where_there_are_no_labels(tmp_path):
    cfg = folder(tmp_path)
    cfg['pipeline'][0]['type'] = 'mmrot.LoadImage'
    (tmp_path / 'class0/0.png').write_bytes(b'')
    data = InMemoryImages(cfg, with_samples=False)
    assert len(data) == 4
    expected = [tmp_path / f'class{i % 2}/{i}.png' for i in (2, 4, 1, 3)]
    assert [data.get_data_info(i)['img_path'] for i in range(4)] == [*map(str, expected)]
    for image, path in zip(data.images, expected, strict=True):
        assert torch.equal(image, torch.from_numpy(cv2.imread(str(path))).permute(2, 0, 1))
    with pytest.raises(ImageError, match=r'0\.png: empty file'):
        InMemoryImages(cfg)
