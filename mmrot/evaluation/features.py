"""Extract features of a frozen backbone."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import nn


@torch.no_grad()
def extract_features(
    backbone: nn.Module, data_preprocessor: nn.Module, batches: Iterable[dict]
) -> tuple[list[np.ndarray], np.ndarray]:
    """Extract the features of labelled images in eval mode.

    Args:
        backbone: Module that returns a tuple of maps (N, C, H, W) or vectors
            (N, C).
        data_preprocessor: Module that converts a collated batch to ``inputs``
            (N, 3, H, W) and ``data_samples`` with ``gt_label``, without rotating.
        batches: Dataloader.

    Returns:
        Features (N, C) of each output of the backbone, with maps averaged over
        their positions, and labels (N,).
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
