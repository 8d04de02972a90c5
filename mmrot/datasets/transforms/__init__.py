from .lighting import Lighting
from .load_image import LoadImage
from .rotated_copies import RotatedCopies
from .stacked_crops import StackedCrops

__all__ = ['Lighting', 'LoadImage', 'RotatedCopies', 'StackedCrops']
