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
        per_class (bool): Whether to report ``<stage>/top<k>/<class>`` as well,
            for the first k, the accuracy on the images of each class (Table 9).
        collect_device (str): Where ranks gather results, ``'cpu'`` or ``'gpu'``.
    """

    def __init__(
        self, topk: Sequence[int] = (1,), per_class: bool = False, collect_device: str = 'cpu'
    ) -> None:
        super().__init__(collect_device)
        self.topk = tuple(topk)
        self.per_class = per_class

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
            self.results.append((label, ranks))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Average over the images.

        Args:
            results (list): For each image its true class, and stage → its rank
                from 0.

        Returns:
            dict[str, float]: Accuracies in percent.
        """
        metrics = {}
        labels = torch.tensor([label for label, _ in results])  # (N,)
        stages = results[0][1]
        for name in stages:
            ranks = torch.tensor([ranks[name] for _, ranks in results])  # (N,)
            for k in self.topk:
                metrics[f'{name}/top{k}'] = (ranks < k).double().mean().item() * 100
            if self.per_class:
                k = self.topk[0]
                for label, title in enumerate(self.dataset_meta['classes']):
                    hits = ranks[labels == label] < k
                    if len(hits):
                        accuracy = hits.double().mean().item() * 100
                        metrics[f'{name}/top{k}/{title}'] = accuracy
        best = max(stages, key=lambda name: metrics[f'{name}/top{self.topk[0]}'])
        metrics[f'best/top{self.topk[0]}'] = metrics[f'{best}/top{self.topk[0]}']
        print_log(f'The best stage is {best}', logger='current')
        return metrics
