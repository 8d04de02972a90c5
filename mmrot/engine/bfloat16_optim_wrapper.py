import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from torch import nn

from mmrot.registry import OPTIM_WRAPPERS


def has_bfloat16() -> bool:
    """Return whether bfloat16 is worth using on the device that mmengine trains on.

    oneDNN emulates it on processors without AVX-512 (or AVX-NE-CONVERT): a convolution then
    takes about 20 times as long as in float32. NVIDIA's GPUs have it since Ampere.
    """
    device = get_device()
    if device == 'cuda':
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device != 'cpu' or torch.ops.mkldnn._is_mkldnn_bf16_supported()


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Train in mixed precision with bfloat16, on a CPU or a GPU.

    bfloat16 has the range of float32, so the loss need not be scaled. mmengine's
    ``AmpOptimWrapper`` always scales it and therefore does not support CPUs. On a CPU with
    bfloat16 instructions (``avx512_bf16``, ``amx_bf16``) a training step takes 0.5 to 0.65 times
    as long as in float32, see ``docs/measurements.md``. On a device without efficient
    bfloat16, see :func:`has_bfloat16`, training falls back to float32 with a warning.

    Args:
        **kwargs: Arguments of mmengine's ``OptimWrapper``, such as ``optimizer``.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self._enabled = has_bfloat16()
        if not self._enabled:
            print_log(
                'bfloat16 is slow on this device: training in float32.',
                logger='current',
                level=logging.WARNING,
            )

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run the forward pass under autocast."""
        # mmengine's own autocast() cannot be compiled
        autocast = torch.autocast(get_device(), torch.bfloat16, enabled=self._enabled)
        with super().optim_context(model), autocast:
            yield
