"""Effective rank of embeddings, a measure of their quality that needs no labels."""

import numpy as np
import torch
from torch import Tensor

from mmrot.errors import UserError


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

    Raises:
        UserError: If there are no embeddings or they are not finite.

    Example:
        >>> round(rank_me(np.eye(4)), 3)
        4.0
    """
    embeddings = torch.as_tensor(embeddings).double()
    finite = bool(embeddings.isfinite().all())
    if embeddings.ndim != 2 or not embeddings.numel() or not finite:
        found = '' if finite else ' with values that are not finite'
        raise UserError(
            'The effective rank needs finite embeddings (N, D), but these have the shape '
            f'{tuple(embeddings.shape)}{found}.'
        )
    values = torch.linalg.svdvals(embeddings)  # (min(N, D),)
    # the paper's epsilon keeps the logarithm finite; without it, a zero adds nothing
    p = values / values.sum().clamp_min(torch.finfo(values.dtype).tiny)
    return torch.special.entr(p).sum().exp().item()
