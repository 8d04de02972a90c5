from collections.abc import Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmrot.registry import METRICS


@METRICS.register_module()
class PerLayerAccuracy(BaseMetric):
    """Top-k accuracy of every probe of :class:`mmrot.LayerProbes`.

    Reports, in percent, ``<stage>/top<k>``, and ``best/top1``, that of the best
    stage, for ``save_best``; the log names the stage.

    Args:
        topk (Sequence[int]): The k to report.
        collect_device (str): Where ranks gather results, ``'cpu'`` or ``'gpu'``.
    """

    def __init__(self, topk: Sequence[int] = (1,), collect_device: str = 'cpu') -> None:
        super().__init__(collect_device)
        self.topk = tuple(topk)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Note at which rank each probe has the true class.

        Args:
            data_batch (Any): Not used.
            data_samples (Sequence[dict]): One per image, with ``gt_label`` (1,)
                and ``layer_scores`` from :meth:`mmrot.LayerProbes.predict`.
        """
        for sample in data_samples:
            label = int(sample['gt_label'])
            ranks = {}
            for name, score in sample['layer_scores'].items():
                rank = score.argsort(descending=True).tolist().index(label)
                # a probe that diverged recognises nothing
                ranks[name] = len(score) if score.isnan().any() else rank
            self.results.append(ranks)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Average over the images.

        Args:
            results (list): For each image, stage → rank of the true class from 0.

        Returns:
            dict[str, float]: Accuracies in percent.
        """
        metrics = {}
        for name in results[0]:
            ranks = torch.tensor([ranks[name] for ranks in results])  # (N,)
            for k in self.topk:
                metrics[f'{name}/top{k}'] = (ranks < k).double().mean().item() * 100
        best = max(results[0], key=lambda name: metrics[f'{name}/top{self.topk[0]}'])
        metrics[f'best/top{self.topk[0]}'] = metrics[f'{best}/top{self.topk[0]}']
        print_log(f'The best stage is {best}', logger='current')
        return metrics
