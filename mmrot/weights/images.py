from collections.abc import Sequence

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset, Compose
from mmengine.registry import MODELS, TRANSFORMS
from torch import Tensor

from mmrot.config import config_path
from mmrot.errors import UserError

# The dataset that defines the normalisation of each network's images, and how they are cropped.
_DATA = {
    'mmrot.AlexNet': ('imagenet_224', 'random_crop_224_pipeline', 'random_crop_pipeline'),
    'mmrot.NIN': ('cifar10_32', 'cifar10_32', 'test_pipeline'),
}


def sample_paths(dataset: BaseDataset, count: int) -> list[str]:
    """Return the paths of some images, evenly spaced over a dataset.

    Args:
        dataset: Dataset of image files.
        count: Number of images, 1 or more. A smaller dataset is used completely.

    Returns:
        Paths of the images.

    Raises:
        UserError: If ``count`` is below 1.
    """
    if count < 1:
        raise UserError(f'--count {count}: expected 1 or more')
    indices = np.unique(np.linspace(0, len(dataset) - 1, count).round().astype(int))
    return [dataset.get_data_info(index)['img_path'] for index in indices]


def read_images(
    paths: Sequence[str], network: str, raw_pixels: bool = False, seed: int = 0
) -> Tensor:
    """Read images with the size and normalisation that a network was pretrained with.

    Args:
        paths: Image files.
        network: Type of the network: ``'mmrot.AlexNet'`` for random crops of 224×224 pixels,
            mirrored at random, and ImageNet's normalisation, ``'mmrot.NIN'`` for central
            crops of 32×32 pixels and CIFAR-10's.
        raw_pixels: Whether to subtract the mean only, for :func:`mmrot.weights.fold_std`.
        seed: Seed of the crops.

    Returns:
        Images, (N, 3, H, W).

    Raises:
        UserError: If the network is not supported.
    """
    if network not in _DATA:
        raise UserError(f'{network}: expected one of {", ".join(_DATA)}')
    data, crops, name = _DATA[network]
    cfg, crops = (
        Config.fromfile(config_path(f'_base_/datasets/{file}.py')) for file in (data, crops)
    )
    steps = [step for step in crops[name] if 'LoadImage' not in step.type]
    steps.insert(0, dict(type='mmrot.LoadImage'))
    pipeline = Compose([TRANSFORMS.build(step) for step in steps])
    preprocessor = MODELS.build(
        dict(
            type='mmpretrain.ClsDataPreprocessor',
            mean=cfg.data_preprocessor.mean,
            std=[1.0, 1.0, 1.0] if raw_pixels else cfg.data_preprocessor.std,
            to_rgb=True,  # files are read as BGR
        )
    )
    state = np.random.get_state()  # noqa: NPY002, the generator of the transforms
    try:
        np.random.seed(seed)  # noqa: NPY002
        images = torch.stack([pipeline(dict(img_path=path))['inputs'] for path in paths])
    finally:
        np.random.set_state(state)  # noqa: NPY002
    return preprocessor(dict(inputs=images))['inputs']
