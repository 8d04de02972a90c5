from .check_classes_hook import CheckClassesHook
from .check_loss_hook import CheckLossHook
from .checkpoint_hook import CheckpointHook
from .knn_monitor import KNNMonitor
from .linear_monitor import LinearMonitor
from .load_backbone_hook import LoadBackboneHook
from .progress_line_hook import ProgressLineHook
from .rank_monitor import RankMonitor
from .result_table_hook import ResultTableHook
from .sync_buffers_hook import SyncBuffersHook

__all__ = [
    'CheckClassesHook',
    'CheckLossHook',
    'CheckpointHook',
    'KNNMonitor',
    'LinearMonitor',
    'LoadBackboneHook',
    'ProgressLineHook',
    'RankMonitor',
    'ResultTableHook',
    'SyncBuffersHook',
]
