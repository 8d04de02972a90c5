"""Samplers that shuffle block by block, to read neighbouring samples at about the same time."""

from collections.abc import Iterator
from itertools import chain, count, islice

import numpy as np
from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch.utils.data import Dataset

from mmrot.errors import UserError
from mmrot.registry import DATA_SAMPLERS


def block_order(length: int, block_size: int, window: int, *key: int) -> Iterator[int]:
    """Shuffle blocks of consecutive samples, then the samples of several blocks.

    Args:
        length: Number of samples.
        block_size: Samples per block.
        window: Number of blocks whose samples are shuffled together.
        *key: Non-negative integers that identify the order.

    Yields:
        Each index from 0 to ``length - 1`` once.
    """
    rng = np.random.default_rng(key)
    blocks = rng.permutation(-(-length // block_size))
    for start in range(0, len(blocks), window):
        firsts = blocks[start : start + window, None] * block_size
        indices = (firsts + np.arange(block_size)).ravel()
        yield from rng.permutation(indices[indices < length]).tolist()


def _check_positive(block_size: int, window: int) -> None:
    if block_size < 1 or window < 1:
        raise UserError(f'{block_size=} and {window=} must be positive.')


@DATA_SAMPLERS.register_module()
class BlockSampler(DefaultSampler):
    """mmengine's ``DefaultSampler`` with an order in which few shards are in use at a time.

    Blocks of consecutive samples are shuffled, then the samples of ``window`` blocks. The order
    depends on the seed and the epoch alone. Samples are assigned to processes in turn. If the
    number of samples is not divisible by the number of processes, the first samples of the epoch
    are repeated at its end.

    Args:
        dataset: The dataset.
        block_size: Samples per block.
        window: Number of blocks.
        **kwargs: ``seed`` and other arguments of ``DefaultSampler``.

    Raises:
        UserError: If ``block_size`` or ``window`` is not positive.
    """

    def __init__(
        self, dataset: Dataset, block_size: int = 1000, window: int = 10, **kwargs
    ) -> None:
        super().__init__(dataset, **kwargs)
        _check_positive(block_size, window)
        self.block_size = block_size
        self.window = window

    def __iter__(self) -> Iterator[int]:
        if not self.shuffle:
            return super().__iter__()
        args = (len(self.dataset), self.block_size, self.window, self.seed, self.epoch)
        endless = chain.from_iterable(block_order(*args) for _ in count())
        return islice(endless, self.rank, self.total_size, self.world_size)


@DATA_SAMPLERS.register_module()
class InfiniteBlockSampler(InfiniteSampler):
    """:class:`BlockSampler` for configs that train by iterations: one epoch follows another.

    Args:
        dataset: The dataset.
        block_size: Samples per block.
        window: Number of blocks.
        **kwargs: ``seed`` and other arguments of mmengine's ``InfiniteSampler``.

    Raises:
        UserError: If ``block_size`` or ``window`` is not positive.
    """

    def __init__(
        self, dataset: Dataset, block_size: int = 1000, window: int = 10, **kwargs
    ) -> None:
        super().__init__(dataset, **kwargs)
        _check_positive(block_size, window)
        self.block_size = block_size
        self.window = window

    def _infinite_indices(self) -> Iterator[int]:
        if not self.shuffle:
            yield from super()._infinite_indices()
        for epoch in count():
            yield from block_order(self.size, self.block_size, self.window, self.seed, epoch)
