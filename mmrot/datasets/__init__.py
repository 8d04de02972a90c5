from .digits import Digits
from .image_folder import ImageFolder
from .per_class_subset import PerClassSubset

__all__ = ['Digits', 'ImageFolder', 'PerClassSubset']
