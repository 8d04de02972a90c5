import torch
from mmdet.models.layers import multiclass_nms
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

from mmrot.registry import MODELS

from .dropout_bbox_head import DropoutBBoxHead


@MODELS.register_module()
class FastRCNNBBoxHead(DropoutBBoxHead):
    """Box head with the regression targets and detections of Girshick's code.

    Box targets are normalised by mean and standard deviation of their class, which
    :class:`mmrot.BoxStatisticsHook` measures, and each class keeps its
    ``test_cfg.rcnn.max_per_class`` best regions of an image before non-maximum
    suppression (Girshick, *Fast R-CNN*, ICCV 2015, released code). The
    ``bbox_coder`` must not normalise.

    Args:
        **kwargs: Arguments of :class:`mmrot.DropoutBBoxHead`.

    Attributes:
        box_means: Mean of the targets (dx, dy, dw, dh) of each class, (C, 4).
        box_stds: Their standard deviations, (C, 4).
    """

    box_means: Tensor
    box_stds: Tensor

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.register_buffer('box_means', torch.zeros(self.num_classes, 4))
        self.register_buffer('box_stds', torch.ones(self.num_classes, 4))

    def _get_targets_single(
        self,
        pos_priors: Tensor,
        neg_priors: Tensor,
        pos_gt_bboxes: Tensor,
        pos_gt_labels: Tensor,
        cfg: ConfigDict,
    ) -> tuple[Tensor, ...]:
        labels, label_weights, targets, weights = super()._get_targets_single(
            pos_priors, neg_priors, pos_gt_bboxes, pos_gt_labels, cfg
        )
        count = len(pos_priors)
        targets[:count] -= self.box_means[pos_gt_labels]
        targets[:count] /= self.box_stds[pos_gt_labels]
        return labels, label_weights, targets, weights

    def _predict_by_feat_single(
        self,
        roi: Tensor,
        cls_score: Tensor,
        bbox_pred: Tensor,
        img_meta: dict,
        rescale: bool = False,
        rcnn_test_cfg: ConfigDict | None = None,
    ) -> InstanceData:
        deltas = bbox_pred.unflatten(1, (-1, 4)) * self.box_stds + self.box_means  # (R, C, 4)
        args = (roi, cls_score, deltas.flatten(1), img_meta, rescale)
        if rcnn_test_cfg is None or len(roi) == 0:
            return super()._predict_by_feat_single(*args, rcnn_test_cfg)
        results = super()._predict_by_feat_single(*args, None)
        scores = results.scores  # (R, C + 1)
        best = scores.topk(min(rcnn_test_cfg.max_per_class, len(scores)), dim=0).indices
        kept = torch.full_like(scores, -1).scatter(0, best, scores.gather(0, best))
        boxes, labels = multiclass_nms(
            results.bboxes,
            kept,
            rcnn_test_cfg.score_thr,
            rcnn_test_cfg.nms,
            rcnn_test_cfg.max_per_img,
        )
        return InstanceData(bboxes=boxes[:, :-1], scores=boxes[:, -1], labels=labels)
