from .lighting import Lighting
from .rotated_copies import RotatedCopies
from .stacked_crops import StackedCrops

__all__ = ['Lighting', 'RotatedCopies', 'StackedCrops']
