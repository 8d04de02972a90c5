from .rotated_copies import RotatedCopies

__all__ = ['RotatedCopies']
