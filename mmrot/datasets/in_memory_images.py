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


def crop_and_flip(images: Tensor, padding: int, offsets: Tensor, flips: Tensor) -> Tensor:
    """Crop images out of their zero-padded versions and mirror some of them.

    Args:
        images: (N, C, H, W).
        padding: Zero padding on every side, in pixels.
        offsets: (N, 2), top and left of each crop in the padded image, from 0 to
            twice the padding.
        flips: (N,) bool, the crops to mirror left to right.

    Returns:
        (N, C, H, W) in channels-last memory format.
    """
    height, width = images.shape[2:]
    rows = offsets[:, :1] + torch.arange(height, device=images.device)  # (N, H)
    columns = torch.arange(width, device=images.device).repeat(len(images), 1)
    columns = torch.where(flips[:, None], columns.flip(1), columns) + offsets[:, 1:]  # (N, W)
    index = torch.arange(len(images), device=images.device)[:, None, None]
    padded = pad(images, (padding,) * 4)
    # advanced indices come first: (N, H, W, C)
    return padded[index, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


@FUNCTIONS.register_module(name=['as_is', 'identity_collate'])
def identity_collate(batch: Any, **_: Any) -> Any:
    """Return a batch unchanged, for datasets that return whole batches.

    Args:
        batch: Batch of the dataset.
        **_: The scope, which mmengine adds in inherited configs.

    Returns:
        The same batch.
    """
    return batch


@DATASETS.register_module()
class InMemoryImages(Dataset):
    """Small images stored as one tensor on the device and augmented in batches.

    For small networks, workers, pipelines and transfers to the device take longer
    than training. Here all images are read once; a batch is indexed, cropped and
    mirrored in a few tensor operations, with the same distribution as the transforms
    ``RandomCrop`` with padding and ``RandomFlip``. The dataloader needs
    ``num_workers=0`` and ``collate_fn=dict(type='mmrot.identity_collate')``; the
    command-line option ``--in-memory`` converts the pipelines of a config.

    Args:
        dataset: Dataset or its config. Its pipeline must be deterministic and return
            packed images of one size.
        crop_size: Expected side of the images in pixels; not checked by default.
        padding: Zero padding in pixels before a random crop to the original size; 0
            for no crop.
        flip: Whether to mirror each image with probability 0.5.
        with_samples: Whether a batch has ``data_samples``. Pretraining needs
            none.

    Raises:
        UserError: If there are no images or they differ in size.
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
        self.device = torch.device(get_device())  # the GPU if there is one
        # processes share a seed but need different crops
        self.generator = torch.Generator(self.device).manual_seed(
            torch.initial_seed() + get_rank()
        )
        if not len(self.dataset):
            raise UserError('the dataset is empty.')
        shape = tuple(self.dataset[0]['inputs'].shape)
        if crop_size is not None and shape[1:] != (crop_size, crop_size):
            raise UserError(
                f'images of {shape[1]}x{shape[2]} pixels do not match crop_size={crop_size}. '
                'Images in memory must have the size of the crop.'
            )
        images = torch.empty((len(self.dataset), *shape), dtype=torch.uint8)
        self.samples = []
        for index in track(
            range(len(images)), 'Reading images', disable=not is_main_process(), transient=True
        ):
            sample = self.dataset[index]
            if tuple(sample['inputs'].shape) != shape:
                raise UserError(
                    f'image {index} has shape {tuple(sample["inputs"].shape)}, but image 0 has '
                    f'{shape}.'
                )
            images[index] = sample['inputs']
            if with_samples:
                self.samples.append(sample['data_samples'].to(self.device))
        self.images = images.to(self.device)  # (N, C, H, W)

    def __len__(self) -> int:
        return len(self.images)

    def get_data_info(self, index: int) -> dict:
        """Return the annotation of a sample."""
        return self.dataset.get_data_info(index)

    def __getitem__(self, index: int) -> dict:
        batch = self.__getitems__([index])
        return {key: value[0] for key, value in batch.items()}

    def __getitems__(self, indices: Sequence[int]) -> dict:
        """Return an augmented batch.

        Args:
            indices: Indices of N samples.

        Returns:
            ``inputs`` (N, C, H, W) uint8 and, if requested, N ``data_samples``.

        Raises:
            UserError: If called in a worker of a dataloader.
        """
        if get_worker_info() is not None:  # each would hold a copy, and none has a GPU
            raise UserError('mmrot.InMemoryImages requires a dataloader with num_workers=0.')
        images = self.images[torch.as_tensor(indices, device=self.device)]
        if self.padding or self.flip:
            options = dict(device=self.device, generator=self.generator)
            offsets = torch.randint(2 * self.padding + 1, (len(images), 2), **options)
            flips = torch.rand(len(images), **options) < 0.5 * self.flip
            images = crop_and_flip(images, self.padding, offsets, flips)
        batch = {'inputs': images}
        if self.samples:
            batch['data_samples'] = [self.samples[index] for index in indices]
        return batch
