from .block_samplers import BlockSampler, InfiniteBlockSampler
from .digits import Digits
from .image_folder import ImageFolder
from .in_memory_images import InMemoryImages
from .inaturalist2018 import INaturalist2018
from .per_class_subset import PerClassSubset
from .shards import Shards
from .unlabelled_images import UnlabelledImages

__all__ = [
    'BlockSampler',
    'Digits',
    'INaturalist2018',
    'ImageFolder',
    'InMemoryImages',
    'InfiniteBlockSampler',
    'PerClassSubset',
    'Shards',
    'UnlabelledImages',
]
