"""Features of a frozen backbone."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import nn


@torch.no_grad()
def extract_features(
    backbone: nn.Module, data_preprocessor: nn.Module, batches: Iterable[dict]
) -> tuple[list[np.ndarray], np.ndarray]:
    """Run a backbone over labelled images, in eval mode.

    Args:
        backbone (nn.Module): Returns a tuple of maps (N, C, H, W) or vectors.
        data_preprocessor (nn.Module): Turns a collated batch into
            ``inputs`` (N, 3, H, W) and ``data_samples`` with ``gt_label``; it
            must not rotate.
        batches (Iterable[dict]): A dataloader.

    Returns:
        tuple[list[np.ndarray], np.ndarray]: For each output of the backbone the
        features (N, C), maps averaged over their positions, and the labels (N,).
    """
    training = backbone.training
    backbone.eval()
    stages: list[list[torch.Tensor]] = []
    labels: list[int] = []
    for batch in batches:
        data = data_preprocessor(batch)
        outputs = backbone(data['inputs'])
        stages = stages or [[] for _ in outputs]
        for stage, output in zip(stages, outputs, strict=True):
            if output.ndim == 4:
                output = output.mean((2, 3))
            stage.append(output.cpu())  # (N, C)
        labels.extend(int(sample.gt_label) for sample in data['data_samples'])
    backbone.train(training)
    return [torch.cat(stage).numpy() for stage in stages], np.array(labels)
