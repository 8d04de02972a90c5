from .check_classes_hook import CheckClassesHook
from .check_loss_hook import CheckLossHook
from .checkpoint_hook import CheckpointHook
from .load_backbone_hook import LoadBackboneHook
from .progress_line_hook import ProgressLineHook
from .result_table_hook import ResultTableHook
from .sync_buffers_hook import SyncBuffersHook

__all__ = [
    'CheckClassesHook',
    'CheckLossHook',
    'CheckpointHook',
    'LoadBackboneHook',
    'ProgressLineHook',
    'ResultTableHook',
    'SyncBuffersHook',
]
