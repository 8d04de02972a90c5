import torch
from mmdet.evaluation import bbox_overlaps
from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor

from mmrot.registry import HOOKS

from .fast_rcnn_bbox_head import FastRCNNBBoxHead

_MIN_IOU = 0.5  # from which a region is an example of its object


@HOOKS.register_module()
class BoxStatisticsHook(Hook):
    """Measure the box targets of each class in :class:`mmrot.FastRCNNBBoxHead` before training.

    As in Girshick's code, over the objects and the proposals that overlap one by an
    IoU of 0.5, and over their mirror images. A resumed training keeps its own.

    Args:
        num_max_proposals: Proposals of an image that training uses.
    """

    def __init__(self, num_max_proposals: int = 2000) -> None:
        self.num_max_proposals = num_max_proposals

    def before_train(self, runner: Runner) -> None:
        """Set means and standard deviations, unless the training was resumed."""
        if runner.iter > 0:
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        head = model.roi_head.bbox_head
        means, stds = self.measure(head, runner.train_dataloader.dataset)
        head.box_means.copy_(means)
        head.box_stds.copy_(stds)
        print_log('Measured the box targets of each class', logger='current')

    def measure(self, head: FastRCNNBBoxHead, dataset: BaseDataset) -> tuple[Tensor, Tensor]:
        """Compute mean and standard deviation of the box targets of each class.

        Args:
            head: Box head.
            dataset: Dataset with ``instances`` and ``proposals``.

        Returns:
            Two tensors (C, 4). Classes without objects have 0 and 1.
        """
        targets: list[list[Tensor]] = [[] for _ in range(head.num_classes)]
        for index in range(len(dataset)):
            info = dataset.get_data_info(index)
            objects = [item for item in info['instances'] if not item['ignore_flag']]
            if not objects:
                continue
            boxes = torch.tensor([item['bbox'] for item in objects]).float()  # (M, 4)
            labels = torch.tensor([item['bbox_label'] for item in objects])  # (M,)
            proposals = torch.as_tensor(info['proposals']['bboxes']).float()
            regions = torch.cat([proposals[: self.num_max_proposals].reshape(-1, 4), boxes])
            overlap, nearest = torch.from_numpy(bbox_overlaps(regions.numpy(), boxes.numpy())).max(
                1
            )
            chosen = overlap >= _MIN_IOU
            deltas = head.bbox_coder.encode(regions[chosen], boxes[nearest[chosen]])
            for label, delta in zip(labels[nearest[chosen]].tolist(), deltas, strict=True):
                targets[label].append(delta)
        means, stds = torch.zeros(len(targets), 4), torch.ones(len(targets), 4)
        for label, found in enumerate(targets):
            if found:
                values = torch.stack(found).double()  # (K, 4)
                values = torch.cat([values, values * torch.tensor([-1, 1, 1, 1])])  # mirrored
                means[label] = values.mean(0)
                stds[label] = values.std(0, correction=0).clamp(min=1e-3)
        return means, stds
