import numpy as np
import pytest
import torch
from mmengine.dataset import default_collate, pseudo_collate
from mmpretrain.structures import DataSample

from mmrot.datasets.transforms import RotatedCopies
from mmrot.models import RotationDataPreprocessor
from mmrot.rotation import EIGHTH_TURNS, QUARTER_TURNS, rotated_copies

MEAN, STD = [125.3, 123.0, 113.9], [63.0, 62.1, 66.7]


def images(n: int = 3, size: int = 10) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, 3, size, size), generator=generator).to(torch.uint8)


def preprocessor(**kwargs) -> RotationDataPreprocessor:
    return RotationDataPreprocessor(mean=MEAN, std=STD, **kwargs)


def test_preprocessor_normalises_and_rotates():
    batch = images()
    samples = [DataSample() for _ in batch]
    data = preprocessor(to_rgb=True)(dict(inputs=batch, data_samples=samples))
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    for n, image in enumerate(batch):
        normal = (image[[2, 1, 0]].float() - mean) / std
        for k in range(4):
            expected = torch.rot90(normal, k, (1, 2))
            assert torch.equal(data['inputs'][4 * n + k], expected)
    assert len(data['data_samples']) == 3


@pytest.mark.parametrize('to_rgb', [False, True])
@pytest.mark.parametrize('dtype', [torch.uint8, torch.float32])
@pytest.mark.parametrize('angles', [QUARTER_TURNS, (0, 180), (90, 270), EIGHTH_TURNS])
def test_pipeline_and_device_path_give_the_same_batch(angles, dtype, to_rgb):
    batch = images().to(dtype)
    module = preprocessor(angles=angles, to_rgb=to_rgb)
    on_device = module(dict(inputs=batch))['inputs']
    transform = RotatedCopies(angles)
    items = []
    for image in batch:
        copies = transform(dict(img=image.permute(1, 2, 0).contiguous().numpy()))['img']
        items.append(dict(inputs=[torch.from_numpy(copy).permute(2, 0, 1) for copy in copies]))
    assert on_device.shape == (3 * len(angles), 3, 10, 10)
    for collate in (default_collate, pseudo_collate):
        assert torch.equal(module(collate(items))['inputs'], on_device)
    plain = pseudo_collate([dict(inputs=image) for image in batch])
    assert torch.equal(module(plain)['inputs'], on_device)


@pytest.mark.parametrize('to_rgb', [False, True])
@pytest.mark.parametrize('angles', [QUARTER_TURNS, EIGHTH_TURNS])
@pytest.mark.parametrize('rotated', [False, True])
def test_preprocessor_returns_channels_last(angles, to_rgb, rotated):
    plain = preprocessor(angles=angles, to_rgb=to_rgb)
    last = preprocessor(angles=angles, to_rgb=to_rgb, channels_last=True)
    inputs = images()
    if rotated:
        inputs = list(rotated_copies(inputs, angles).unflatten(0, (3, -1)).unbind(1))
    got = last(dict(inputs=inputs))['inputs']
    assert got.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(got, plain(dict(inputs=inputs))['inputs'])


@pytest.mark.parametrize('angles', [QUARTER_TURNS, EIGHTH_TURNS])
def test_preprocessor_is_exact_under_autocast(angles):
    """mmengine calls the preprocessor inside autocast."""
    expected = preprocessor(angles=angles)(dict(inputs=images()))['inputs']
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = preprocessor(angles=angles)(dict(inputs=images()))['inputs']
    assert torch.equal(got, expected)


def test_float_inputs_without_normalisation_are_only_rotated():
    batch = torch.rand(2, 3, 6, 6)
    assert torch.equal(
        RotationDataPreprocessor()(dict(inputs=batch))['inputs'], rotated_copies(batch)
    )


@pytest.mark.parametrize('number', [0, 2])
def test_one_mean_applies_to_all_channels_and_batches_may_be_empty(number):
    module = RotationDataPreprocessor(mean=[128], std=[64], channels_last=True)
    batch = images(number, size=64)
    expected = rotated_copies((batch.float() - 128) / 64)
    assert torch.equal(module(dict(inputs=batch))['inputs'], expected)


def test_preprocessor_rejects_another_number_of_copies():
    with pytest.raises(
        ValueError, match=r'made 2 copies of each image, but angles=\(0, 90, 180, 270\) has 4'
    ):
        preprocessor()(dict(inputs=[images(), images()]))


def test_preprocessor_rejects_images_of_different_shapes():
    with pytest.raises(ValueError, match=r'different shapes: .*\(3, 8, 8\), \(3, 9, 9\)'):
        preprocessor()(dict(inputs=[torch.zeros(3, 9, 9), torch.zeros(3, 8, 8)]))


def test_preprocessor_rejects_non_square_images():
    with pytest.raises(ValueError, match=r'\(1, 3, 6, 8\) are not square'):
        preprocessor()(dict(inputs=torch.zeros(1, 3, 6, 8)))


def test_pipeline_and_device_crop_the_same_copies():
    """Also when only the diagonal copies are cropped."""
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    options = dict(angles=EIGHTH_TURNS, crop_upright=False)
    copies = RotatedCopies(**options).transform(dict(img=image.copy()))['img']
    tensors = [torch.from_numpy(copy).permute(2, 0, 1)[None] for copy in copies]
    preprocessor = RotationDataPreprocessor(**options)
    rotated = preprocessor(dict(inputs=tensors))['inputs']
    plain = preprocessor(dict(inputs=torch.from_numpy(image).permute(2, 0, 1)[None]))['inputs']
    assert torch.equal(rotated, plain)
    assert torch.equal(plain[0], torch.from_numpy(image).permute(2, 0, 1).float())


@pytest.mark.parametrize('size', [32, 64])
@pytest.mark.parametrize('channels_last', [False, True])
def test_preprocessor_keeps_its_input_and_can_be_compiled(size, channels_last):
    module = preprocessor(to_rgb=True, channels_last=channels_last)
    for dtype in (torch.uint8, torch.float32):
        batch = images(size=size).to(dtype)
        kept = batch.clone()
        expected = module(dict(inputs=batch))['inputs']
        assert torch.equal(batch, kept)
        compiled = torch.compile(module, backend='eager', fullgraph=True)
        assert torch.equal(compiled(dict(inputs=batch))['inputs'], expected)
