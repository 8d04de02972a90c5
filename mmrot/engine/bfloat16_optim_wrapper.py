from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from torch import nn

from mmrot.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Mixed precision in bfloat16, on a CPU as well as on a GPU.

    bfloat16 has the range of float32, so losses are not scaled. mmengine's
    ``AmpOptimWrapper`` always scales, for which it refuses a CPU. On a CPU with
    bfloat16 instructions (``avx512_bf16``, ``amx_bf16``) a training step takes
    0.5 to 0.65 of the time, see ``docs/measurements.md``.

    Args:
        **kwargs: Of mmengine's ``OptimWrapper``, the optimizer among them.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run the forward pass in bfloat16 where autocast says that it may."""
        # mmengine's own autocast() cannot be compiled
        with super().optim_context(model), torch.autocast(get_device(), torch.bfloat16):
            yield
