"""Augmentation that depends on the seed, the epoch and the image alone.

The random numbers of a sample come from neither the worker that loads it nor the samples before
it. So numbers of workers and processes do not change the data, and a resumed run draws what an
uninterrupted one would have drawn.
"""

import random
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import Dataset, Sampler

from mmrot.errors import ImageError
from mmrot.registry import DATASETS

# The sampler sends epoch and index to the dataset as one integer.
_EPOCH = 2**40
# Bad images in a row after which no further replacement is tried.
_ATTEMPTS = 20


def bad_images_limit(num_images: int, share: float = 0.001) -> int:
    """Return how many images may be bad before training stops.

    Args:
        num_images: Number of images.
        share: Share of them that may be bad, from 0 to 1. 10 always may, unless it is 0.
    """
    return max(10, int(share * num_images)) if share else 0


def seed_all(*key: int) -> None:
    """Seed Python, NumPy and torch on the CPU.

    Args:
        *key: Non-negative integers that identify a sample or an iteration.
    """
    words = np.random.SeedSequence(key).generate_state(4)
    random.seed(int(words[0]))
    np.random.seed(words[1])  # noqa: NPY002 - transforms draw from the global generator
    # torch.manual_seed also asks about GPUs, which takes 100 times as long
    torch.default_generator.manual_seed(int(words[2]) << 32 | int(words[3]))


class SeededSampler(Sampler):
    """A sampler whose indices tell :class:`SeededSamples` the epoch.

    Args:
        sampler: Config of mmengine's ``DefaultSampler`` or ``InfiniteSampler``, or a subclass.
        dataset: The dataset.
        seed: Seed of the order.
    """

    def __init__(self, sampler: dict, dataset: Dataset, seed: int | None) -> None:
        self.sampler: DefaultSampler | InfiniteSampler = DATA_SAMPLERS.build(
            sampler, default_args=dict(dataset=dataset, seed=seed)
        )
        self._skipped = 0

    def __len__(self) -> int:
        return len(self.sampler)

    def __getattr__(self, name: str) -> Any:
        if name == 'sampler':  # not yet set
            raise AttributeError(name)
        return getattr(self.sampler, name)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iterator."""
        self.sampler.set_epoch(epoch)

    def skip(self, num_samples: int) -> None:
        """Leave out the first samples of the next iterator.

        Args:
            num_samples: Number of samples of this process, since the start of the epoch or, if
                the sampler is infinite, of training.
        """
        self._skipped = num_samples

    def __iter__(self) -> Iterator[int]:
        skipped, self._skipped = self._skipped, 0
        if isinstance(self.sampler, InfiniteSampler):
            rank, step, size = self.sampler.rank, self.sampler.world_size, self.sampler.size
            for position, index in islice(
                enumerate(self.sampler._indices_of_rank()), skipped, None
            ):
                yield (position * step + rank) // size * _EPOCH + index
        else:
            for index in islice(self.sampler, skipped, None):
                yield self.sampler.epoch * _EPOCH + index


class SeededSamples(Dataset):
    """A dataset that seeds all random numbers before it loads a sample.

    Everything but indexing is passed on to the dataset. One that augments whole batches, such
    as :class:`mmrot.InMemoryImages`, has a method ``augmented``, which takes the seeds.

    An image that cannot be decoded is replaced by another one, which depends on the seed, the
    epoch and the index too. :meth:`new_bad_images` tells the main process which ones were.

    Args:
        dataset: Config of a dataset.
        seed: Seed of the run.
    """

    def __init__(self, dataset: dict, seed: int) -> None:
        self.dataset = DATASETS.build(dataset)
        self.seed = seed
        # Shared with the workers: one flag for each sample, and one that is set after any of them.
        self._bad = torch.zeros(len(self.dataset) + 1, dtype=torch.bool).share_memory_()
        self._reported = self._bad.clone()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getattr__(self, name: str) -> Any:
        if name in ('dataset', '__getitems__'):  # not yet set; not for every dataset
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __getitem__(self, index: int) -> Any:
        epoch, index = divmod(index, _EPOCH)
        seed_all(self.seed, epoch, index)
        try:
            return self.dataset[index]
        except ImageError:
            self._note(index)
        for attempt in range(1, _ATTEMPTS):
            key = (self.seed, epoch, index, attempt)
            other = int(np.random.default_rng(key).integers(len(self)))
            seed_all(*key)
            try:
                return self.dataset[other]
            except ImageError as error:
                self._note(other)
                last = error
        raise last

    def _note(self, index: int) -> None:
        self._bad[index] = True
        self._bad[-1] = True  # after the other, so that none is overlooked

    def new_bad_images(self) -> list[int]:
        """Return the indices of the bad images that were found since the last call."""
        if not self._bad[-1]:
            return []
        self._bad[-1] = False
        found = self._bad & ~self._reported
        found[-1] = False
        self._reported |= found
        return found.nonzero().flatten().tolist()

    def __getitems__(self, indices: Sequence[int]) -> Any:
        if not hasattr(self.dataset, 'augmented'):
            return [self[index] for index in indices]
        keys = [(self.seed, *divmod(index, _EPOCH)) for index in indices]
        words = [np.random.SeedSequence(key).generate_state(1, np.uint64) for key in keys]
        seeds = torch.from_numpy(np.concatenate(words).view(np.int64))
        return self.dataset.augmented([index for *_, index in keys], seeds)
