"""Extensions of mmseg, imported by the ``custom_imports`` of segmentation configs.

mmseg is optional, so mmrot's registries do not import this package.
"""

from .check_masks_hook import CheckMasksHook
from .load_mask import LoadMask
from .sbd import prepare_sbd
from .subset_iou_metric import SubsetIoUMetric

__all__ = ['CheckMasksHook', 'LoadMask', 'SubsetIoUMetric', 'prepare_sbd']
