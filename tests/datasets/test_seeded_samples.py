import random

import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS
from torch.utils.data import DataLoader, Dataset

from mmrot.datasets.seeded_samples import (
    SeededSampler,
    SeededSamples,
    bad_images_limit,
    seed_all,
)
from mmrot.errors import ImageError


def draw():
    """Draw from each of the generators that transforms use."""
    return random.random(), np.random.rand(), torch.rand(()).item()  # noqa: NPY002


@DATASETS.register_module(force=True)
class RandomNumbers(Dataset):
    """A sample is its index and a draw of each generator."""

    metainfo = {'classes': ('a',)}

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return (index, *draw())


def loader(sampler='DefaultSampler', seed=3, **options):
    dataset = SeededSamples(dict(type='RandomNumbers'), seed)
    sampler = SeededSampler(dict(type=sampler, shuffle=True), dataset, seed)
    return DataLoader(dataset, 2, sampler=sampler, collate_fn=list, **options)


def epoch(data, number):
    data.sampler.set_epoch(number)
    return [sample for batch in data for sample in batch]


@pytest.mark.parametrize('persistent', [True, False])
def test_samples_do_not_depend_on_workers(persistent):
    alone, shared = loader(), loader(num_workers=2, persistent_workers=persistent)
    first, second = epoch(alone, 0), epoch(alone, 1)
    assert [epoch(shared, 0), epoch(shared, 1)] == [first, second]
    assert sorted(sample[0] for sample in first) == [*range(10)]
    draws = {draw for sample in first + second for draw in sample[1:]}
    assert len(draws) == 60  # no draw is repeated in the second epoch
    assert epoch(loader(seed=4), 0) != first


def test_skipped_samples_are_those_at_the_start():
    data = loader()
    whole = epoch(data, 2)
    data.sampler.skip(4)
    assert epoch(data, 2) == whole[4:]
    assert epoch(data, 2) == whole  # only once


def test_infinite_sampler_counts_passes_and_skips():
    batches = iter(loader('InfiniteSampler'))
    samples = [sample for _ in range(15) for sample in next(batches)]
    assert all(sorted(s[0] for s in samples[i : i + 10]) == [*range(10)] for i in (0, 10, 20))
    assert len({sample[1] for sample in samples}) == 30
    later = loader('InfiniteSampler')
    later.sampler.skip(14)
    assert next(iter(later)) == samples[14:16]


def test_samples_do_not_depend_on_the_number_of_processes(monkeypatch):
    def draws(world_size, sampler):
        found = {}
        for rank in range(world_size):
            monkeypatch.setattr(
                'mmengine.dataset.sampler.get_dist_info', lambda rank=rank: (rank, world_size)
            )
            batches = iter(loader(sampler))
            for _ in range(10 // 2 // world_size):
                found |= {sample[0]: sample for sample in next(batches)}
        return found

    for sampler in ('DefaultSampler', 'InfiniteSampler'):
        one, five = draws(1, sampler), draws(5, sampler)
        assert len(one) == 10
        assert one == five


def test_data_set_that_augments_batches_takes_a_seed_per_sample():
    class Batches(RandomNumbers):
        def augmented(self, indices, seeds):
            return dict(zip(indices, seeds.tolist(), strict=True))

    DATASETS.register_module(name='Batches', module=Batches, force=True)
    data = SeededSamples(dict(type='Batches'), 0)
    first = data.__getitems__([3, 4])
    assert first.keys() == {3, 4}
    assert first[3] != first[4]
    assert data.__getitems__([4, 3, 0])[3] == first[3]
    assert data.__getitems__([3 + 2**40])[3] != first[3]
    assert SeededSamples(dict(type='Batches'), 1).__getitems__([3])[3] != first[3]


def test_attributes_are_those_of_the_data_set():
    assert SeededSamples(dict(type='RandomNumbers'), 0).metainfo == {'classes': ('a',)}


def test_seeds_are_repeatable():
    def seeded_draw(*key):
        seed_all(*key)
        return draw()

    assert seeded_draw(1, 2, 3) == seeded_draw(1, 2, 3)
    assert not set(seeded_draw(1, 2, 3)) & set(seeded_draw(1, 3, 2))


@DATASETS.register_module(force=True)
class SomeBad(RandomNumbers):
    """Samples 2 and 5, or all, cannot be decoded."""

    bad = (2, 5)

    def __getitem__(self, index):
        if index in self.bad:
            raise ImageError(f'image {index}')
        return super().__getitem__(index)


def bad_loader(dataset, workers):
    dataset = SeededSamples(dict(type=dataset), 3)
    sampler = SeededSampler(dict(type='DefaultSampler', shuffle=False), dataset, 3)
    return DataLoader(dataset, 2, sampler=sampler, collate_fn=list, num_workers=workers)


@pytest.mark.parametrize('workers', [0, 2])
def test_bad_images_are_replaced_and_reported_once(workers):
    data = bad_loader('SomeBad', workers)
    first, second = epoch(data, 0), epoch(data, 1)
    assert data.dataset.new_bad_images() == [2, 5]
    assert data.dataset.new_bad_images() == []
    alone = bad_loader('SomeBad', 0)
    assert [epoch(alone, 0), epoch(alone, 1)] == [first, second]
    good = epoch(bad_loader('RandomNumbers', 0), 0)
    for position, (found, expected) in enumerate(zip(first, good, strict=True)):
        if position in (2, 5):
            assert found[0] not in (2, 5)
            assert found[1:] not in [sample[1:] for sample in good]  # drawn for itself
        else:
            assert found == expected
    assert [first[i] for i in (2, 5)] != [second[i] for i in (2, 5)]


def test_error_when_no_image_is_good():
    class AllBad(SomeBad):
        bad = range(10)

    DATASETS.register_module(name='AllBad', module=AllBad, force=True)
    with pytest.raises(ImageError, match='image'):
        epoch(bad_loader('AllBad', 0), 0)


def test_limit_of_bad_images():
    assert bad_images_limit(237) == 10
    assert bad_images_limit(1_281_167) == 1281
    assert bad_images_limit(100, 0.5) == 50
    assert bad_images_limit(1_281_167, 0) == 0
