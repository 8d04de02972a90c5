from .lighting import Lighting
from .load_image import LoadImage
from .load_resized import LoadResized, fuse_loading
from .rotated_copies import RotatedCopies
from .stacked_crops import StackedCrops

__all__ = [
    'Lighting',
    'LoadImage',
    'LoadResized',
    'RotatedCopies',
    'StackedCrops',
    'fuse_loading',
]
