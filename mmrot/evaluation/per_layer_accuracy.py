from collections.abc import Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmrot.registry import METRICS


@METRICS.register_module()
class PerLayerAccuracy(BaseMetric):
    """Top-k accuracy of every probe of :class:`mmrot.LayerProbes`.

    Reports ``<stage>/top<k>`` in percent and, for ``save_best``, ``best/top<k>``
    of the best stage with the first k. The log names that stage.

    Args:
        topk: Values of k.
        per_class: Whether to report ``<stage>/top<k>/<class>`` for the first k,
            the accuracy on the images of each class (Table 9).
        **kwargs: ``collect_device`` and ``prefix`` of mmengine's ``BaseMetric``.
    """

    def __init__(self, topk: Sequence[int] = (1,), per_class: bool = False, **kwargs) -> None:
        super().__init__(**kwargs)
        self.topk = tuple(topk)
        self.per_class = per_class

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Record the rank of the true class for each probe.

        Args:
            data_batch: Not used.
            data_samples: One per image, with ``gt_label`` (1,) and
                ``layer_scores`` from :meth:`mmrot.LayerProbes.predict`.
        """
        for sample in data_samples:
            label = int(sample['gt_label'])
            # scores that are not lower count as better, so that ties and NaN rank last
            ranks = {
                name: int((~(score < score[label])).sum()) - 1
                for name, score in sample['layer_scores'].items()
            }
            self.results.append((label, ranks))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute the accuracies over all images.

        Args:
            results: True class and ranks from 0 by stage of each image.

        Returns:
            Accuracies in percent.
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
