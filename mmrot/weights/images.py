from collections.abc import Sequence

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset, Compose
from mmengine.registry import MODELS, TRANSFORMS
from torch import Tensor

from mmrot.config import config_path
from mmrot.errors import UserError

# The dataset that defines the image size and normalisation of each network.
_DATA = {'mmrot.AlexNet': 'imagenet_224', 'mmrot.NIN': 'cifar10_32'}


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


def read_images(paths: Sequence[str], network: str) -> Tensor:
    """Read images with the size and normalisation that a network was pretrained with.

    Args:
        paths: Image files.
        network: Type of the network: ``'mmrot.AlexNet'`` for 224×224 pixels and ImageNet's
            normalisation, ``'mmrot.NIN'`` for 32×32 pixels and CIFAR-10's.

    Returns:
        Images, (N, 3, H, W).

    Raises:
        UserError: If the network is not supported.
    """
    if network not in _DATA:
        raise UserError(f'{network}: expected one of {", ".join(_DATA)}')
    cfg = Config.fromfile(config_path(f'_base_/datasets/{_DATA[network]}.py'))
    steps = [step for step in cfg.test_pipeline if 'LoadImage' not in step.type]
    steps.insert(0, dict(type='mmpretrain.LoadImageFromFile'))
    pipeline = Compose([TRANSFORMS.build(step) for step in steps])
    preprocessor = MODELS.build(
        dict(
            type='mmpretrain.ClsDataPreprocessor',
            **{**cfg.data_preprocessor, 'to_rgb': True},  # files are read as BGR
        )
    )
    images = torch.stack([pipeline(dict(img_path=path))['inputs'] for path in paths])
    return preprocessor(dict(inputs=images))['inputs']
