import torch
from mmpretrain.models import MultiLabelLinearClsHead
from mmpretrain.structures import DataSample
from torch import Tensor

from mmrot.registry import MODELS


@MODELS.register_module()
class IgnoreDifficultHead(MultiLabelLinearClsHead):
    """Multi-label classifier that ignores an image for classes of difficult objects only.

    As in Krähenbühl et al.'s code for VOC 2007 classification.

    Args:
        **kwargs: Arguments of mmpretrain's ``MultiLabelLinearClsHead``.
    """

    def _get_loss(self, cls_score: Tensor, data_samples: list[DataSample], **kwargs) -> dict:
        ignored = torch.zeros_like(cls_score, dtype=torch.bool)  # (N, C)
        for row, sample in zip(ignored, data_samples, strict=True):
            row[list(sample.get('gt_label_difficult') or [])] = True
            row[sample.gt_label] = False
        # a confident and correct score has neither loss nor gradient
        return super()._get_loss(cls_score.float().masked_fill(ignored, -1e4), data_samples)
