from collections.abc import Sequence

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DATASETS, MODELS, TRANSFORMS
from torch import Tensor

from mmrot.config import config_path
from mmrot.errors import UserError

# The data that each network was pretrained on: size and normalisation of images.
_DATA = {'mmrot.AlexNet': 'imagenet_224', 'mmrot.NIN': 'cifar10_32'}


def list_images(folder: str) -> list[str]:
    """List the photographs of a folder.

    Args:
        folder (str): Folder of photographs, nested folders included.

    Returns:
        list[str]: Their paths, sorted.

    Raises:
        UserError: If there is none.
    """
    dataset = DATASETS.build(
        dict(type='mmrot.ImageFolder', data_root=folder, split='all', pipeline=[])
    )
    return [dataset.get_data_info(index)['img_path'] for index in range(len(dataset))]


def read_images(paths: Sequence[str], network: str, count: int) -> Tensor:
    """Read photographs as a network was pretrained on them.

    Args:
        paths (Sequence[str]): Image files.
        network (str): Its type: AlexNet takes 224×224 and ImageNet's
            normalisation, NIN 32×32 and CIFAR-10's.
        count (int): How many of them to take, spread evenly.

    Returns:
        Tensor: (N, 3, H, W), N at most ``count``.

    Raises:
        UserError: If the network is another one, or ``count`` is below 1.
    """
    if count < 1:
        raise UserError(f'--count {count}: expected 1 or more')
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
    chosen = np.unique(np.linspace(0, len(paths) - 1, count).round().astype(int))
    images = torch.stack([pipeline(dict(img_path=paths[index]))['inputs'] for index in chosen])
    return preprocessor(dict(inputs=images))['inputs']
