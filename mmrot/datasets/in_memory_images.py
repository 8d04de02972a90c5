import logging
import math
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dataset import BaseDataset
from mmengine.device import get_device
from mmengine.dist import is_main_process
from mmengine.logging import print_log
from rich.progress import track
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.data import Dataset, get_worker_info

from mmrot.errors import ImageError, UserError, first_few
from mmrot.registry import DATASETS, FUNCTIONS

from .seeded_samples import bad_images_limit


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


def uniform(seeds: Tensor, count: int) -> Tensor:
    """Draw random numbers that depend on the seed of their row alone.

    Those of SplitMix64 (Steele, Lea and Flood, *Fast Splittable Pseudorandom Number Generators*,
    OOPSLA 2014). PyTorch's generators have one seed for a whole tensor.

    Args:
        seeds: (N,) int64.
        count: Draws K per seed.

    Returns:
        (N, K) float32, from 0 to 1, which is excluded; the same on every device.
    """
    steps = torch.arange(1, count + 1, device=seeds.device) * -0x61C8864680B583EB
    bits = _mix(_mix(seeds)[:, None] + steps)
    return _shift(bits, 40).float() / 2**24


def _mix(x: Tensor) -> Tensor:
    """Scramble int64, whose products wrap around."""
    x = (x ^ _shift(x, 30)) * -0x40A7B892E31B1A47
    x = (x ^ _shift(x, 27)) * -0x6B2FB644ECCEEE15
    return x ^ _shift(x, 31)


def _shift(x: Tensor, bits: int) -> Tensor:
    """Shift right and fill with zeros."""
    return x >> bits & 2 ** (64 - bits) - 1


# Sizes of a crop that are drawn before the whole image is taken, as in torchvision.
_ATTEMPTS = 10
CROP_DRAWS = 2 * _ATTEMPTS + 2


def sample_crops(
    draws: Tensor,
    side: int,
    crop_ratio_range: Sequence[float],
    aspect_ratio_range: Sequence[float] = (3 / 4, 4 / 3),
) -> Tensor:
    """Sample crops with the distribution of mmpretrain's ``RandomResizedCrop``.

    Args:
        draws: (N, CROP_DRAWS) random numbers, from 0 to 1.
        side: Side of the square images in pixels.
        crop_ratio_range: Smallest and largest area relative to that of the image.
        aspect_ratio_range: Smallest and largest ratio of width to height; its logarithm is
            uniform.

    Returns:
        (N, 4) int64: top, left, height and width in pixels.
    """
    of_areas, of_ratios, of_places = draws.split([_ATTEMPTS, _ATTEMPTS, 2], 1)
    low, high = crop_ratio_range
    areas = side**2 * (low + (high - low) * of_areas)
    low, high = map(math.log, aspect_ratio_range)
    ratios = (low + (high - low) * of_ratios).exp()
    sizes = torch.stack([areas / ratios, areas * ratios], -1).sqrt().round().long()
    fits = ((sizes > 0) & (sizes <= side)).all(-1)  # (N, attempts)
    first = fits.int().argmax(1)
    sizes = sizes[torch.arange(len(draws), device=draws.device), first]  # (N, 2)
    sizes = torch.where(fits.any(1, keepdim=True), sizes, side)
    # a draw rounded to 1 times the margin would be out of range
    places = (of_places * (side - sizes + 1)).long()
    return torch.cat([places.minimum(side - sizes), sizes], 1)


def _resampling(starts: Tensor, lengths: Tensor, inputs: int, outputs: int) -> Tensor:
    """Return the weights of a bicubic antialiased resize along one axis.

    They are those of Pillow: the kernel with a = -1/2, widened if the crop is larger than the
    result, cut at the border of the crop and normalised.

    Args:
        starts: (N,) first pixel of each crop.
        lengths: (N,) pixels of each crop.
        inputs: Pixels of the image.
        outputs: Pixels of the result.

    Returns:
        (N, outputs, inputs) float32.
    """
    device = starts.device
    step = (lengths / outputs)[:, None, None]  # (N, 1, 1)
    centers = (torch.arange(outputs, device=device)[:, None] + 0.5) * step  # (N, outputs, 1)
    pixels = torch.arange(inputs, device=device) - starts[:, None, None]  # (N, 1, inputs)
    x = ((pixels + 0.5 - centers) / step.clamp(min=1)).abs()
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    weights = torch.where(x < 1, near, torch.where(x < 2, far, 0.0))
    weights = weights * ((pixels >= 0) & (pixels < lengths[:, None, None]))
    return weights / weights.sum(2, keepdim=True)


def resize_crops(images: Tensor, crops: Tensor, size: int, flips: Tensor) -> Tensor:
    """Crop images, resize the crops and mirror some of them.

    Equals ``RandomResizedCrop`` of mmpretrain with ``interpolation='bicubic'`` and
    ``backend='pillow'`` up to one level of 255. Pillow 13 and later resize crops along the
    height first if it shrinks much more than the width; at sharp edges their values then differ
    by up to about 20 levels (python-pillow/Pillow#9549).

    Args:
        images: (N, C, H, W) uint8.
        crops: (N, 4), top, left, height and width in pixels.
        size: Side of the result in pixels.
        flips: (N,) bool, the crops to mirror left to right.

    Returns:
        (N, C, size, size) uint8 in channels-last memory format.
    """
    height, width = images.shape[2:]
    rows = _resampling(crops[:, 0], crops[:, 2], height, size)  # (N, size, H)
    columns = _resampling(crops[:, 1], crops[:, 3], width, size)  # (N, size, W)
    columns = torch.where(flips[:, None, None], columns.flip(1), columns)
    # Pillow resizes rows first, and rounds after each pass
    narrow = (images.float() @ columns[:, None].mT).round_().clamp_(0, 255)  # (N, C, H, size)
    result = (rows[:, None] @ narrow).round_().clamp_(0, 255)  # (N, C, size, size)
    return result.to(torch.uint8).contiguous(memory_format=torch.channels_last)


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
    ``RandomCrop`` with padding or ``RandomResizedCrop``, and ``RandomFlip``. The dataloader needs
    ``num_workers=0`` and ``collate_fn=dict(type='mmrot.identity_collate')``; the
    command-line option ``--in-memory`` converts the pipelines of a config.

    Args:
        dataset: Dataset or its config. Its pipeline must be deterministic and return
            packed images of one size.
        crop_size: Expected side of the images in pixels; not checked by default. With
            ``crop_ratio_range``, the side of the resized crops, by default that of the images.
        padding: Zero padding in pixels before a random crop to the original size; 0
            for no crop.
        crop_ratio_range: Smallest and largest area, relative to that of the image, of random
            crops that are resized bicubically. None for no resizing.
        aspect_ratio_range: Smallest and largest ratio of width to height of these crops.
        flip: Whether to mirror each image with probability 0.5.
        with_samples: Whether a batch has ``data_samples``. Pretraining needs none, and leaves out
            images that cannot be decoded.

    Raises:
        UserError: If there are no images, they differ in size, resized crops are requested of
            images that are not square, or too many cannot be decoded.
    """

    def __init__(
        self,
        dataset: dict | BaseDataset,
        crop_size: int | None = None,
        padding: int = 0,
        crop_ratio_range: Sequence[float] | None = None,
        aspect_ratio_range: Sequence[float] = (3 / 4, 4 / 3),
        flip: bool = False,
        with_samples: bool = True,
    ) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self.metainfo = self.dataset.metainfo
        self.padding = padding
        self.crop_ratio_range = crop_ratio_range
        self.aspect_ratio_range = aspect_ratio_range
        self.flip = flip
        self.device = torch.device(get_device())  # the GPU if there is one
        self.size = crop_size or 0  # that of the images
        self.samples: list = []
        self._indices: list[int] = []  # of the images that can be decoded
        self.images = self._read(with_samples).to(self.device)  # (N, C, H, W)

    def _read(self, with_samples: bool) -> Tensor:
        """Read all images (N, C, H, W), and check that they have one size."""
        if not len(self.dataset):
            raise UserError('the dataset is empty.')
        images = None
        bad: list[str] = []
        for index in track(
            range(len(self.dataset)),
            'Reading images',
            disable=not is_main_process(),
            transient=True,
        ):
            try:
                sample = self.dataset[index]
            except ImageError as error:
                bad.append(str(error))
                if with_samples or len(bad) > bad_images_limit(len(self.dataset)):
                    raise
                continue
            shape = tuple(sample['inputs'].shape)
            if images is None:
                self._check_shape(*shape[1:])
                images = torch.empty((len(self.dataset), *shape), dtype=torch.uint8)
            if shape != images.shape[1:]:
                raise UserError(
                    f'image {index} has shape {shape}, but image {self._indices[0]} has '
                    f'{tuple(images.shape[1:])}.'
                )
            images[len(self._indices)] = sample['inputs']
            self._indices.append(index)
            if with_samples:
                self.samples.append(sample['data_samples'].to(self.device))
        for message in bad:
            print_log(f'{message} It is left out.', 'current', logging.WARNING)
        if images is None:
            raise UserError(f'no image can be decoded: {first_few(bad, 3)}')
        return images[: len(self._indices)]

    def _check_shape(self, height: int, width: int) -> None:
        if self.crop_ratio_range is not None:
            if height != width:
                raise UserError(
                    f'images of {height}x{width} pixels: resized crops need square images.'
                )
        elif self.size and (height, width) != (self.size, self.size):
            raise UserError(
                f'images of {height}x{width} pixels do not match crop_size={self.size}. '
                'Images in memory must have the size of the crop.'
            )
        self.size = self.size or height

    def __len__(self) -> int:
        return len(self.images)

    def get_data_info(self, index: int) -> dict:
        """Return the annotation of a sample."""
        return self.dataset.get_data_info(self._indices[index])

    def __getitem__(self, index: int) -> dict:
        batch = self.__getitems__([index])
        return {key: value[0] for key, value in batch.items()}

    def __getitems__(self, indices: Sequence[int]) -> dict:
        """Return an augmented batch; see :meth:`augmented`."""
        return self.augmented(indices, torch.randint(2**62, (len(indices),)))

    def augmented(self, indices: Sequence[int], seeds: Tensor) -> dict:
        """Return an augmented batch.

        Args:
            indices: Indices of N samples.
            seeds: Seeds (N,) of their crops and flips, int64.

        Returns:
            ``inputs`` (N, C, H, W) uint8 and, if requested, N ``data_samples``.

        Raises:
            UserError: If called in a worker of a dataloader.
        """
        if get_worker_info() is not None:  # each would hold a copy, and none has a GPU
            raise UserError('mmrot.InMemoryImages requires a dataloader with num_workers=0.')
        # transfers that block would wait for the step before
        images = self.images[torch.as_tensor(indices).to(self.device, non_blocking=True)]
        draws = uniform(seeds.to(self.device, non_blocking=True), CROP_DRAWS + 1)
        flips = draws[:, -1] < 0.5 * self.flip
        if self.crop_ratio_range is not None:
            crops = sample_crops(
                draws[:, :-1], images.shape[-1], self.crop_ratio_range, self.aspect_ratio_range
            )
            images = resize_crops(images, crops, self.size, flips)
        elif self.padding or self.flip:
            offsets = (draws[:, :2] * (2 * self.padding + 1)).long().clamp_max(2 * self.padding)
            images = crop_and_flip(images, self.padding, offsets, flips)
        batch = {'inputs': images}
        if self.samples:
            batch['data_samples'] = [self.samples[index] for index in indices]
        return batch
