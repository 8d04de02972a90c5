#!/usr/bin/env python
"""Measure what feature extraction and kNN cost beyond their bare computations.

kNN: 10,000 queries against 50,000 vectors of 2,048 on the CPU, compared with the matrix
product and ``topk`` over the same blocks. Extraction: random images through a
backbone, into memory maps, compared with a loop that runs the backbone over the same
data and keeps nothing. The variants alternate; prints medians over rounds and ratios.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from mmengine.dataset import default_collate
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from mmrot.cli.errors import report_errors
from mmrot.evaluation import knn
from mmrot.evaluation.features import extract_dataset


def bare_neighbours(queries: Tensor, bank: Tensor, k: int) -> None:
    """Run only the matrix products and top-k searches of kNN, in blocks of the same size."""
    for start in range(0, len(bank), knn._BANK_BLOCK):
        keys = bank[start : start + knn._BANK_BLOCK]
        for first in range(0, len(queries), knn._QUERY_BLOCK):
            (queries[first : first + knn._QUERY_BLOCK] @ keys.T).topk(k)


class RandomImages(Dataset):
    """The same random images each time, as a pipeline packs them."""

    metainfo: dict = {}

    def __init__(self, count: int, size: int) -> None:
        self.images = torch.randint(256, (count, 3, size, size), dtype=torch.uint8)

    def __len__(self) -> int:
        return len(self.images)

    def get_data_info(self, index: int) -> dict:
        return {}

    def __getitem__(self, index: int) -> dict:
        return dict(inputs=self.images[index])


@torch.no_grad()
def bare_loop(
    backbone: nn.Module, preprocessor: nn.Module, images: RandomImages, batch_size: int
) -> None:
    """Run a backbone over all images."""
    for batch in DataLoader(images, batch_size, collate_fn=default_collate):
        backbone(preprocessor(batch)['inputs'])


def extract(
    backbone: nn.Module, preprocessor: nn.Module, images: RandomImages, batch_size: int
) -> None:
    """Extract the features of all images to files."""
    with tempfile.TemporaryDirectory() as folder:
        extract_dataset(
            backbone, preprocessor, images, {'stage': 'avg'}, batch_size, folder=folder
        )


def compare(name: str, bare: Callable[[], None], ours: Callable[[], None], rounds: int) -> None:
    """Time two functions in turn and print the medians and their ratios.

    Processor time is also printed, since other jobs on the machine hardly change it.
    """
    clocks = {'wall': time.perf_counter, 'processor': time.process_time}
    seconds = np.empty((2, rounds + 1, len(clocks)))
    for round_ in range(rounds + 1):
        for row, function in enumerate((bare, ours)):
            start = [clock() for clock in clocks.values()]
            function()
            seconds[row, round_] = [clock() for clock in clocks.values()] - np.array(start)
    medians = np.median(seconds[:, 1:], axis=1)  # the first round allocates
    for clock, one, two in zip(clocks, *medians, strict=True):
        print(f'{name}, {clock}: {two:.2f} s, bare {one:.2f} s, ratio {two / one:.3f}')


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--rounds', type=int, default=3, help='timed rounds (default 3)')
    parser.add_argument('--queries', type=int, default=10_000)
    parser.add_argument('--bank', type=int, default=50_000)
    parser.add_argument('--images', type=int, default=256, help='number of images (default 256)')
    args = parser.parse_args()
    with report_errors():
        torch.manual_seed(0)
        queries, bank = torch.randn(args.queries, 2048), torch.randn(args.bank, 2048)
        compare(
            'kNN, k=200',
            partial(bare_neighbours, queries, bank, 200),
            partial(knn.nearest_neighbours, queries, bank, 200),
            args.rounds,
        )
        del queries, bank
        backbone = MODELS.build(dict(type='mmpretrain.ResNet', depth=18))
        backbone.eval()
        preprocessor = MODELS.build(
            dict(type='mmpretrain.ClsDataPreprocessor', mean=[127.5] * 3, std=[64.0] * 3)
        )
        data = (backbone, preprocessor, RandomImages(args.images, 224), 32)
        compare(
            'Extraction, ResNet-18',
            partial(bare_loop, *data),
            partial(extract, *data),
            args.rounds,
        )


if __name__ == '__main__':
    main()
