"""What reaches the backbone: the same normalised RGB in training and in testing."""

from copy import deepcopy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers import shipped, skip_without_host
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor

import mmrot

IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
STATISTICS = {
    'cifar10': ((125.3, 123.0, 113.9), (63.0, 62.1, 66.7)),
    # Table 7: mean-subtracted pixels
    'alexnet_fc6_8_voc07': (IMAGENET[0], (1.0,) * 3),
    'alexnet_all_voc07': (IMAGENET[0], (1.0,) * 3),
    'rcnn_alexnet_voc07': (IMAGENET[0], (1.0,) * 3),
    'fcn32s_alexnet_voc12': (IMAGENET[0], (1.0,) * 3),
    'digits': ((77.8,) * 3, (85.0,) * 3),
}
# Random steps, without what they change at random.
NEUTRAL = {
    'mmpretrain.RandomCrop': dict(padding=None),
    'RandomFlip': dict(prob=0.0),
    'RandomResizedCrop': dict(crop_ratio_range=(1.0, 1.0), aspect_ratio_range=(1.0, 1.0)),
    'ColorJitter': dict(brightness=0.0, contrast=0.0, saturation=0.0),
    'RandomResize': dict(ratio_range=(1.0, 1.0)),
    'PhotoMetricDistortion': dict(
        brightness_delta=0, contrast_range=(1, 1), saturation_range=(1, 1), hue_delta=1
    ),
}


def picture(side: int) -> np.ndarray:
    """RGB: red grows to the right, green downwards, blue is their product."""
    ramp = np.linspace(0, 1, side)
    red, green = np.broadcast_arrays(ramp[None], ramp[:, None])
    return (255 * np.stack([red, green, red * green], axis=-1)).round().astype(np.uint8)


def pipeline_of(dataset: Config) -> list[dict]:
    """Return the pipeline of a dataset or of the first one that it wraps."""
    while 'pipeline' not in dataset:
        dataset = dataset.dataset if 'dataset' in dataset else dataset.datasets[0]
    return dataset.pipeline


def neutral(steps: list[dict]) -> list[dict]:
    """Replace the random values of steps, also of steps within steps."""
    steps = deepcopy(steps)
    for step in steps:
        name = step['type'].rpartition('.')[2]
        step.update(NEUTRAL.get(name, NEUTRAL.get(step['type'], {})))
        if name == 'RandomChoiceResize':
            step['scales'] = step['scales'][:1]
        if 'transforms' in step:
            step['transforms'] = neutral(step['transforms'])
    return steps


def preprocessor_of(cfg: Config) -> torch.nn.Module:
    """Build the data preprocessor as the runner does."""
    config = dict(cfg.model.get('data_preprocessor') or cfg.data_preprocessor)
    if cfg.model.type == 'mmrot.RotationPred':
        config['type'] = 'mmrot.RotationDataPreprocessor'
    config.setdefault('type', 'mmpretrain.ClsDataPreprocessor')  # of feature extraction
    return MODELS.build(config)


def received(cfg: Config, split: str, rgb: np.ndarray, folder: Path) -> Tensor:
    """Send an image through pipeline and data preprocessor, averaged over random colours.

    Returns:
        What the backbone receives without its padding, (3, H, W).
    """
    steps = neutral(pipeline_of(cfg[f'{split}_dataloader'].dataset))
    image, mask = folder / 'image.png', folder / 'mask.png'
    cv2.imwrite(str(image), rgb[..., ::-1])
    cv2.imwrite(str(mask), np.zeros(rgb.shape[:2], np.uint8))
    results = dict(
        img=rgb.copy(),  # of datasets without files
        img_path=str(image),
        img_id='0',
        gt_label=0,
        seg_map_path=str(mask),
        seg_fields=[],
        reduce_zero_label=False,
        label_map=None,
        instances=[
            dict(
                bbox=[10, 10, 90, 90],
                bbox_label=0,
                ignore_flag=0,
                mask=[[10, 10, 90, 10, 90, 90, 10, 90]],
            )
        ],
    )
    if 'LoadProposals' in str(steps):
        results['proposals'] = dict(bboxes=np.array([[10.0, 10, 90, 90]]), scores=np.ones(1))
    pipeline, preprocessor = Compose(steps), preprocessor_of(cfg)
    draws = 100 if 'Lighting' in str(steps) else 1
    outs = []
    for _ in range(draws):
        batch = pseudo_collate([pipeline(deepcopy(results))])
        batch = preprocessor(batch, split == 'train')
        height, width = batch['data_samples'][0].get('img_shape', rgb.shape)[:2]
        out = batch['inputs'][0, :, :height, :width]
        outs.append(out[:, :width] if 'StackedCrops' in str(steps) else out)
    return torch.stack(outs).mean(0)


@pytest.mark.parametrize('split', ['train', 'test'])
@pytest.mark.parametrize('name', mmrot.list_configs())
def test_backbone_receives_normalised_rgb(name, split, tmp_path):
    skip_without_host(name)
    cfg = shipped(name)
    mean, std = next((v for k, v in STATISTICS.items() if k in name), IMAGENET)
    mean, std = (torch.tensor(values)[:, None, None] for values in (mean, std))
    side = 16 if 'digits' in name else 32 if 'cifar10' in name else 256
    np.random.seed(0)  # noqa: NPY002, the generator of the transforms
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        white = received(cfg, split, np.full((side, side, 3), 255, np.uint8), tmp_path)
        red, green, blue = received(cfg, split, picture(side), tmp_path) * std + mean
    torch.testing.assert_close(white * std + mean, torch.full_like(white, 255), rtol=0, atol=2)
    torch.testing.assert_close(blue, red * green / 255, rtol=0, atol=12)  # of uint8 HSV
    for ramp, dim in ((red, 0), (green, 1)):
        line = ramp.mean(dim)
        assert (line.diff() > -1).all()
        assert line[-4:].max() - line[0] > 100
        inner = ramp[4:-4, 4:-4]
        assert (inner - inner.mean(dim, keepdim=True)).abs().max() < 12


def test_lighting_shifts_floats_along_the_principal_components():
    image = np.full((2, 2, 3), 255, np.uint8)
    np.random.seed(0)  # noqa: NPY002, the generator of the transforms
    out = mmrot.registry.TRANSFORMS.build(dict(type='mmrot.Lighting'))
    shifts = np.stack([out(dict(img=image))['img'][0, 0] - 255 for _ in range(4000)])
    assert out(dict(img=image))['img'].dtype == np.float32
    # the components are orthonormal, so these are the eigenvalues
    values, vectors = np.linalg.eigh(np.cov(shifts[:, ::-1].T))
    assert np.sqrt(values[::-1]) == pytest.approx([5.546, 0.479, 0.115], rel=0.05)
    assert abs(vectors[:, -1]) == pytest.approx([0.5675, 0.5808, 0.5836], abs=0.01)
