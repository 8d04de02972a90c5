"""Effective rank of embeddings, a measure of their quality that needs no labels."""

import numpy as np
import torch
from torch import Tensor


def rank_me(embeddings: np.ndarray | Tensor) -> float:
    """Compute the effective rank of embeddings.

    RankMe, equations 1 and 2 of `Garrido et al., RankMe: Assessing the Downstream Performance of
    Pretrained Self-Supervised Representations by Their Rank, ICML 2023
    <https://arxiv.org/abs/2210.02885>`_: the exponential of the entropy of the singular values,
    normalised to sum to 1. Embeddings are not centred.

    Args:
        embeddings: (N, D).

    Returns:
        From 1, if all embeddings are parallel, to min(N, D), if all singular values are equal.

    Example:
        >>> round(rank_me(np.eye(4)), 3)
        4.0
    """
    values = torch.linalg.svdvals(torch.as_tensor(embeddings).double())  # (min(N, D),)
    # the paper's epsilon keeps the logarithm finite; without it, a zero adds nothing
    p = values / values.sum().clamp_min(torch.finfo(values.dtype).tiny)
    return torch.special.entr(p).sum().exp().item()
