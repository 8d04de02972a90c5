from .lighting import Lighting
from .load_cached_image import LoadCachedImage
from .load_image import LoadImage
from .load_resized import LoadResized, fuse_loading
from .rotated_copies import RotatedCopies
from .stacked_crops import StackedCrops
from .torch_resized_crop import TorchResizedCrop

__all__ = [
    'Lighting',
    'LoadCachedImage',
    'LoadImage',
    'LoadResized',
    'RotatedCopies',
    'StackedCrops',
    'TorchResizedCrop',
    'fuse_loading',
]
