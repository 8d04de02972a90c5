"""Hash of the weights in a checkpoint, by which damaged files are noticed."""

import hashlib
from collections.abc import Mapping
from typing import Any

import torch

SHA256 = 'weights_sha256'  # key in the ``meta`` of a checkpoint


def weights_sha256(state_dict: Mapping[str, Any]) -> str:
    """Compute the SHA-256 hash of the names, types, shapes and values of weights.

    Args:
        state_dict: Weights. What is not a dense tensor is skipped.

    Returns:
        64 hexadecimal digits, independent of the order of the weights and of their device.
    """
    digest = hashlib.sha256()
    for key in sorted(state_dict, key=str):
        value = state_dict[key]
        if isinstance(value, torch.Tensor) and value.layout is torch.strided:
            digest.update(f'{key} {value.dtype} {tuple(value.shape)} '.encode())
            values = value.detach().cpu().contiguous().flatten()
            digest.update(values.view(torch.uint8).numpy())
    return digest.hexdigest()
