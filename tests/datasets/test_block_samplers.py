from itertools import islice

import pytest

from mmrot.datasets import BlockSampler, InfiniteBlockSampler
from mmrot.datasets.block_samplers import block_order
from mmrot.errors import UserError


@pytest.fixture
def set_rank(monkeypatch):
    def set_rank(rank, world_size):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda: (rank, world_size))

    return set_rank


@pytest.mark.parametrize('length', [1, 9, 10, 95])
def test_order_has_every_index_once(length):
    assert sorted(block_order(length, 10, 3, 0)) == [*range(length)]


def test_samples_of_a_window_are_those_of_its_blocks():
    order = [*block_order(100, 10, 2, 7)]
    windows = [order[start : start + 20] for start in range(0, 100, 20)]
    for window in windows:
        blocks = {index // 10 for index in window}
        assert sorted(window) == [10 * b + i for b in sorted(blocks) for i in range(10)]
        assert len({index // 10 for index in window[:10]}) == 2  # mixed
    assert [min(window) for window in windows] != sorted(min(window) for window in windows)


def test_order_depends_on_seed_and_epoch():
    orders = {tuple(block_order(40, 4, 3, *key)) for key in ((0, 0), (0, 1), (1, 0), (1, 1))}
    assert len(orders) == 4
    assert [*block_order(40, 4, 3, 1, 1)] == [*block_order(40, 4, 3, 1, 1)]
    sampler = BlockSampler(range(40), block_size=4, window=3, seed=5)
    sampler.set_epoch(2)
    assert [*sampler] == [*block_order(40, 4, 3, 5, 2)]


def test_processes_share_the_order_and_the_first_samples_fill_up(set_rank):
    parts = []
    for rank in range(4):
        set_rank(rank, 4)
        sampler = BlockSampler(range(10), block_size=2, window=2, seed=0)
        parts.append([*sampler])
        assert len(sampler) == len(parts[-1]) == 3
    merged = [index for step in zip(*parts, strict=True) for index in step]
    order = [*block_order(10, 2, 2, 0, 0)]
    assert merged == order + order[:2]


def test_infinite_sampler_yields_epoch_after_epoch(set_rank):
    expected = [i for epoch in range(3) for i in block_order(9, 2, 2, 3, epoch)]
    for world_size in (1, 2):
        found = [None] * 27
        for rank in range(world_size):
            set_rank(rank, world_size)
            sampler = InfiniteBlockSampler(range(9), block_size=2, window=2, seed=3)
            part = [*range(27)][rank::world_size]
            for position, index in zip(part, islice(sampler, len(part)), strict=True):
                found[position] = index
        assert found == expected


def test_no_shuffling():
    options = dict(block_size=2, seed=0, shuffle=False)
    assert [*BlockSampler(range(7), **options)] == [*range(7)]
    assert [*islice(InfiniteBlockSampler(range(3), **options), 7)] == [0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize('sampler', [BlockSampler, InfiniteBlockSampler])
@pytest.mark.parametrize('options', [dict(block_size=0), dict(window=-1)])
def test_sizes_must_be_positive(sampler, options):
    with pytest.raises(UserError, match='must be positive'):
        sampler(range(5), **options)
