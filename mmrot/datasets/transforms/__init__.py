from .lighting import Lighting
from .rotated_copies import RotatedCopies

__all__ = ['Lighting', 'RotatedCopies']
