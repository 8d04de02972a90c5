"""What the detection configs add to mmdet; they import it by ``custom_imports``.

mmdet is optional, so no registry of mmrot imports this by itself.
"""

from .dropout_bbox_head import DropoutBBoxHead
from .res_layer_extra_norm import ResLayerExtraNorm
from .voc_dataset import VOCDataset
from .voc_metric import VOCMetric

__all__ = ['DropoutBBoxHead', 'ResLayerExtraNorm', 'VOCDataset', 'VOCMetric']
