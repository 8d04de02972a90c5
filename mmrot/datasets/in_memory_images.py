from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dataset import BaseDataset
from mmengine.device import get_device
from mmengine.dist import get_rank, is_main_process
from rich.progress import track
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.data import Dataset, get_worker_info

from mmrot.errors import UserError
from mmrot.registry import DATASETS, FUNCTIONS


def crop_and_flip(images: Tensor, padding: int, places: Tensor, flips: Tensor) -> Tensor:
    """Pad each image of a batch with zeros, crop it to its size, mirror it.

    Args:
        images (Tensor): (N, C, H, W).
        padding (int): Pixels on every side.
        places (Tensor): (N, 2), top and left of each crop in the padded image,
            from 0 to twice the padding.
        flips (Tensor): (N,), bool, which crops to mirror left to right.

    Returns:
        Tensor: (N, C, H, W) in channels-last memory format.
    """
    height, width = images.shape[2:]
    rows = places[:, :1] + torch.arange(height, device=images.device)  # (N, H)
    columns = torch.arange(width, device=images.device).repeat(len(images), 1)
    columns = torch.where(flips[:, None], columns.flip(1), columns) + places[:, 1:]  # (N, W)
    index = torch.arange(len(images), device=images.device)[:, None, None]
    padded = pad(images, (padding,) * 4)
    # advanced indices come first: (N, H, W, C)
    return padded[index, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


@FUNCTIONS.register_module()
def as_is(batch: Any, **_: Any) -> Any:
    """Collate nothing: the data set gives whole batches.

    Args:
        batch: What the data set gave.
        **_: The scope, which mmengine adds where a config is inherited.

    Returns:
        The same.
    """
    return batch


@DATASETS.register_module()
class InMemoryImages(Dataset):
    """Small images as one tensor on the device, augmented batch by batch.

    Workers, pipelines and the bus cost more than a small network computes. All
    images are read once; a batch is indexed, cropped and mirrored in a few tensor
    operations. Of the same distribution as the transforms ``RandomCrop`` with
    padding and ``RandomFlip``. For a dataloader with ``num_workers=0`` and
    ``collate_fn=dict(type='mmrot.as_is')``; ``--in-memory`` of the tools makes it
    from a config's pipelines.

    Args:
        dataset (dict | BaseDataset): Its pipeline gives packed images of one
            size, without anything random.
        crop_size (int, optional): Side of the images, which is checked.
        padding (int): Pixels of zeros around an image, of which a random crop of
            its size is taken; 0 takes the image.
        flip (bool): Whether to mirror half of the images, at random.
        with_samples (bool): Whether a batch has ``data_samples``; pretraining
            needs none.

    Raises:
        UserError: If the images are of several sizes, or there are none.
    """

    def __init__(
        self,
        dataset: dict | BaseDataset,
        crop_size: int | None = None,
        padding: int = 0,
        flip: bool = False,
        with_samples: bool = True,
    ) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self.metainfo = self.dataset.metainfo
        self.padding = padding
        self.flip = flip
        self.device = torch.device(get_device())  # the GPU, where there is one
        # processes have one seed, but not the same crops
        self.generator = torch.Generator(self.device).manual_seed(
            torch.initial_seed() + get_rank()
        )
        if not len(self.dataset):
            raise UserError('no images to hold in memory')
        shape = tuple(self.dataset[0]['inputs'].shape)
        if crop_size is not None and shape[1:] != (crop_size, crop_size):
            raise UserError(
                f'images of {shape[1]}x{shape[2]} cannot be held in memory for crops of '
                f'{crop_size}x{crop_size}: expected that size'
            )
        images = torch.empty((len(self.dataset), *shape), dtype=torch.uint8)
        self.samples = []
        for index in track(
            range(len(images)), 'Reading images', disable=not is_main_process(), transient=True
        ):
            sample = self.dataset[index]
            if tuple(sample['inputs'].shape) != shape:
                raise UserError(
                    f'image {index} has shape {tuple(sample["inputs"].shape)}, the first one '
                    f'{shape}: expected one size'
                )
            images[index] = sample['inputs']
            if with_samples:
                self.samples.append(sample['data_samples'].to(self.device))
        self.images = images.to(self.device)  # (N, C, H, W)

    def __len__(self) -> int:
        return len(self.images)

    def get_data_info(self, index: int) -> dict:
        """Give the annotation of a sample."""
        return self.dataset.get_data_info(index)

    def __getitem__(self, index: int) -> dict:
        batch = self.__getitems__([index])
        return {key: value[0] for key, value in batch.items()}

    def __getitems__(self, indices: Sequence[int]) -> dict:
        """Give a batch.

        Args:
            indices (Sequence[int]): N samples.

        Returns:
            dict: ``inputs`` (N, C, H, W), uint8, and ``data_samples``, N of them.

        Raises:
            UserError: In a worker of a dataloader.
        """
        if get_worker_info() is not None:  # each would have its own copy, and none a GPU
            raise UserError('mmrot.InMemoryImages: expected a dataloader with num_workers=0')
        images = self.images[torch.as_tensor(indices, device=self.device)]
        if self.padding or self.flip:
            options = dict(device=self.device, generator=self.generator)
            places = torch.randint(2 * self.padding + 1, (len(images), 2), **options)
            flips = torch.rand(len(images), **options) < 0.5 * self.flip
            images = crop_and_flip(images, self.padding, places, flips)
        batch = {'inputs': images}
        if self.samples:
            batch['data_samples'] = [self.samples[index] for index in indices]
        return batch
