from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from torch import nn

from mmrot.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Train in mixed precision with bfloat16, on a CPU or a GPU.

    bfloat16 has the range of float32, so the loss need not be scaled. mmengine's
    ``AmpOptimWrapper`` always scales it and therefore does not support CPUs. On a CPU with
    bfloat16 instructions (``avx512_bf16``, ``amx_bf16``) a training step takes 0.5 to 0.65 times
    as long as in float32, see ``docs/measurements.md``.

    Args:
        **kwargs: Arguments of mmengine's ``OptimWrapper``, such as ``optimizer``.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run the forward pass under autocast."""
        # mmengine's own autocast() cannot be compiled
        with super().optim_context(model), torch.autocast(get_device(), torch.bfloat16):
            yield
