"""What the segmentation configs add to mmseg; they import it by ``custom_imports``.

mmseg is optional, so no registry of mmrot imports this by itself.
"""

from .check_masks_hook import CheckMasksHook
from .load_mask import LoadMask

__all__ = ['CheckMasksHook', 'LoadMask']
