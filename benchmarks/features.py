"""What kNN and feature extraction cost beyond their bare computations."""

import tempfile
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.dataset import default_collate
from mmengine.registry import MODELS
from step import RandomImages
from timing import Target, Variant, benchmark
from torch.utils.data import DataLoader

from mmrot.evaluation import knn as search
from mmrot.evaluation.features import extract_dataset


@benchmark(
    'kNN (k=200) of 10,000 queries in 50,000 vectors of length 2,048',
    unit='s',
    rounds=3,
    targets=(Target('mmrot', 'matrix product and topk', 1.3),),
)
def knn(options: Any) -> Mapping[str, Variant]:
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(10_000, 2048, generator=generator)
    bank = torch.randn(50_000, 2048, generator=generator)

    def bare() -> None:
        for start in range(0, len(bank), search._BANK_BLOCK):
            keys = bank[start : start + search._BANK_BLOCK]
            for first in range(0, len(queries), search._QUERY_BLOCK):
                (queries[first : first + search._QUERY_BLOCK] @ keys.T).topk(200)

    def ours() -> None:
        search.nearest_neighbours(queries, bank, 200)

    return {'matrix product and topk': bare, 'mmrot': ours}


@benchmark(
    'Feature extraction to files, ResNet-18, 256 images of 224×224 pixels',
    unit='images/s',
    rounds=5,
    targets=(Target('mmrot', 'bare loop', 1 / 1.1, at_most=False),),
)
def extraction(options: Any) -> Mapping[str, Variant]:
    backbone = MODELS.build(dict(type='mmpretrain.ResNet', depth=18))
    backbone.eval()
    preprocessor = MODELS.build(
        dict(type='mmpretrain.ClsDataPreprocessor', mean=[127.5] * 3, std=[64.0] * 3)
    )
    images = RandomImages(256, 224)

    @torch.no_grad()
    def bare() -> int:
        for batch in DataLoader(images, 32, collate_fn=default_collate):
            backbone(preprocessor(batch)['inputs'])
        return len(images)

    def ours() -> int:
        with tempfile.TemporaryDirectory() as folder:
            extract_dataset(backbone, preprocessor, images, {'stage': 'avg'}, 32, folder=folder)
        return len(images)

    return {'bare loop': bare, 'mmrot': ours}
