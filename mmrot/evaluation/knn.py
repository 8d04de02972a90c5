"""k nearest neighbours by cosine similarity, in blocks of bounded size."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mmrot.errors import UserError

# A block of similarities takes 4 bytes * _QUERY_BLOCK * _BANK_BLOCK = 256 MB.
_QUERY_BLOCK = 1024
_BANK_BLOCK = 65536


@torch.no_grad()
def nearest_neighbours(
    queries: np.ndarray | Tensor,
    bank: np.ndarray | Tensor,
    k: int,
    device: str | torch.device = 'cpu',
) -> tuple[Tensor, Tensor]:
    """Find the k most similar vectors of a bank for each query.

    Memory is bounded by two blocks of both sets, their similarities, and the
    neighbours found so far. Either set can be a memory map larger than memory.

    Args:
        queries: (N, D).
        bank: (M, D).
        k: Number of neighbours, from 1 to M.
        device: Device of the computation.

    Returns:
        Cosine similarities (N, k), descending, and indices (N, k) into ``bank``.
        Ties are broken in favour of the lower index, also at the k-th neighbour.

    Raises:
        UserError: If k or D does not match the bank, or a vector is not finite.
    """
    if not 1 <= k <= len(bank):
        raise UserError(f'k={k} is not from 1 to {len(bank)}, the number of vectors in the bank.')
    if queries.shape[1] != bank.shape[1]:
        raise UserError(
            f'Queries have {queries.shape[1]} dimensions, the bank has {bank.shape[1]}.'
        )
    found: list[tuple[Tensor, Tensor]] = []
    for start in range(0, len(bank), _BANK_BLOCK):
        keys = _unit_block(bank, start, _BANK_BLOCK, device, 'bank')  # (B, D)
        for block, first in enumerate(range(0, len(queries), _QUERY_BLOCK)):
            block_queries = _unit_block(queries, first, _QUERY_BLOCK, device, 'query')  # (Q, D)
            similarity = block_queries @ keys.T  # (Q, B)
            best, index = _top(similarity, min(k, len(keys)))
            index += start
            if start == 0:
                found.append((best, index))
                continue
            # the earlier block comes first, so columns are still ordered by index
            # among equal similarities
            best = torch.cat([found[block][0], best], 1)
            index = torch.cat([found[block][1], index], 1)
            best, order = _top(best, min(k, best.shape[1]))
            found[block] = best, index.gather(1, order)
    if not found:
        return torch.empty(0, k), torch.empty(0, k, dtype=torch.long)
    similarities, indices = zip(*found, strict=True)
    return torch.cat(similarities), torch.cat(indices)


def _unit_block(
    vectors: np.ndarray | Tensor, start: int, size: int, device: str | torch.device, name: str
) -> Tensor:
    """Copy rows to the device as float32 unit vectors; zero vectors stay zero."""
    rows = vectors[start : start + size]
    block = torch.as_tensor(np.array(rows) if isinstance(rows, np.ndarray) else rows)
    block = block.to(device, torch.float32)
    norms = torch.linalg.vector_norm(block, dim=1, keepdim=True)  # (B, 1)
    if not (finite := norms.isfinite()).all():
        raise UserError(
            f'The norm of {name} vector {start + int(finite.int().argmin())} is not finite.'
        )
    return block / norms.clamp_min(1e-12)


def _top(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k largest values of each row, descending, and their columns.

    ``topk`` returns equal values in any order; here the lower column comes first.
    """
    width = values.shape[1]
    best, index = values.topk(min(k + 1, width))  # (N, k + 1)
    if k < width:
        # topk may have picked any of the values tied at the end
        tied = (best[:, k - 1] == best[:, k]).nonzero().squeeze(1)
        best, index = best[:, :k].contiguous(), index[:, :k].contiguous()
        if len(tied):
            ordered, columns = values[tied].sort(dim=1, descending=True, stable=True)
            best[tied], index[tied] = ordered[:, :k], columns[:, :k]
    index, order = index.sort(dim=1)
    best, order = best.gather(1, order).sort(dim=1, descending=True, stable=True)
    return best, index.gather(1, order)


def knn_predict(
    similarities: Tensor, neighbour_labels: Tensor, num_classes: int, temperature: float | None
) -> Tensor:
    """Classify by a vote of the neighbours.

    Args:
        similarities: Cosine similarities of the neighbours, (N, k).
        neighbour_labels: Their class indices, (N, k).
        num_classes: Number of classes.
        temperature: A neighbour of similarity s has the weight exp(s /
            temperature), as in Wu et al., *Unsupervised Feature Learning via
            Non-Parametric Instance Discrimination*, CVPR 2018. None gives every
            neighbour one vote.

    Returns:
        Class indices (N,). Ties are broken in favour of the lowest index.
    """
    if temperature is None:
        weights = torch.ones_like(similarities, dtype=torch.float64)
    else:
        # relative to the nearest neighbour, so that nothing overflows
        nearest = similarities[:, :1]
        weights = ((similarities - nearest).double() / temperature).exp()  # (N, k)
    votes = weights.new_zeros(len(weights), num_classes)
    votes.scatter_add_(1, neighbour_labels, weights)  # (N, classes)
    return votes.argmax(1)


def knn_accuracy(
    queries: np.ndarray | Tensor,
    query_labels: np.ndarray | Tensor,
    bank: np.ndarray | Tensor,
    bank_labels: np.ndarray | Tensor,
    ks: Sequence[int],
    temperature: float | None = 0.07,
    device: str | torch.device = 'cpu',
) -> dict[int, float]:
    """Compute the accuracy of kNN classification.

    Args:
        queries: Test features, (N, D).
        query_labels: Their class indices, (N,).
        bank: Training features, (M, D).
        bank_labels: Their class indices, (M,).
        ks: Numbers of neighbours, each from 1 to M.
        temperature: Weight of the votes, see :func:`knn_predict`.
        device: Device of the computation.

    Returns:
        k → top-1 accuracy in percent.

    Raises:
        UserError: If a set is empty, the numbers of features and labels differ, a label
            is negative, or there are no ``ks``; see also :func:`nearest_neighbours`.

    Example:
        >>> bank = np.array([[1.0, 0.0], [0.0, 1.0]])
        >>> knn_accuracy(bank, np.array([0, 0]), bank, np.array([0, 1]), [1])
        {1: 50.0}
    """
    for name, vectors, labels in (('query', queries, query_labels), ('bank', bank, bank_labels)):
        if not len(vectors):
            raise UserError(f'There are no {name} vectors.')
        if len(vectors) != len(labels):
            raise UserError(f'{len(vectors)} {name} vectors have {len(labels)} labels.')
        if (lowest := int(np.asarray(labels).min())) < 0:
            raise UserError(f'Labels of {name} vectors include {lowest}.')
    if not ks or min(ks) < 1:
        raise UserError(f'ks={tuple(ks)} are not one or more positive integers.')
    similarities, indices = nearest_neighbours(queries, bank, max(ks), device)
    truth, known = (
        torch.as_tensor(np.asarray(x)).long().to(device) for x in (query_labels, bank_labels)
    )
    num_classes = int(max(truth.max(), known.max())) + 1
    neighbour_labels = known[indices]  # (N, k)
    accuracies = {}
    for k in ks:
        predicted = knn_predict(
            similarities[:, :k], neighbour_labels[:, :k], num_classes, temperature
        )
        accuracies[k] = (predicted == truth).double().mean().item() * 100
    return accuracies
