from .load_backbone_hook import LoadBackboneHook
from .progress_line_hook import ProgressLineHook

__all__ = ['LoadBackboneHook', 'ProgressLineHook']
