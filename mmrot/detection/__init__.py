"""Extensions of mmdet, imported by the ``custom_imports`` of detection configs.

mmdet is optional, so mmrot's registries do not import this package.
"""

from .box_statistics_hook import BoxStatisticsHook
from .dropout_bbox_head import DropoutBBoxHead
from .fast_rcnn_bbox_head import FastRCNNBBoxHead
from .res_layer_extra_norm import ResLayerExtraNorm
from .roi_pool_extractor import RoIPoolExtractor
from .voc_dataset import VOCDataset
from .voc_metric import VOCMetric

__all__ = [
    'BoxStatisticsHook',
    'DropoutBBoxHead',
    'FastRCNNBBoxHead',
    'ResLayerExtraNorm',
    'RoIPoolExtractor',
    'VOCDataset',
    'VOCMetric',
]
