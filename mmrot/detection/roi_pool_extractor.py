from collections.abc import Sequence
from typing import Any

from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from torch import nn
from torchvision.ops import RoIPool

from mmrot.registry import MODELS


@MODELS.register_module()
class RoIPoolExtractor(SingleRoIExtractor):
    """RoI pooling as in Girshick's Caffe layer (Fast R-CNN, ICCV 2015).

    The corners of a region are rounded to the nearest cell. mmcv's ``RoIPool`` rounds them down
    and up instead, so that the cells of a region lie half a cell to its upper left on average,
    if cell i is centred on pixel i times the stride. It has no CPU kernel either.

    Args:
        roi_layer: ``output_size``, (height, width) in bins.
        **kwargs: See mmdet's ``SingleRoIExtractor``.
    """

    def build_roi_layers(
        self, layer_cfg: dict[str, Any], featmap_strides: Sequence[int]
    ) -> nn.ModuleList:
        """Build one layer for each feature map."""
        return nn.ModuleList(
            RoIPool(**layer_cfg, spatial_scale=1 / stride) for stride in featmap_strides
        )
