from mmengine.dist import all_reduce_params
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.nn.modules.batchnorm import _BatchNorm

from mmrot.registry import HOOKS


@HOOKS.register_module()
class SyncBuffersHook(Hook):
    """Average the running statistics of batch norm over the processes after every epoch.

    Otherwise each process validates with its own statistics, and the checkpoint holds those of
    the first. mmengine's hook of the same name averages all buffers, which can change those of
    frozen stages by a rounding error; this one averages batch norms in training mode only.
    """

    def after_train_epoch(self, runner: Runner) -> None:
        """Average the statistics."""
        buffers = [
            buffer
            for module in runner.model.modules()
            if module.training and isinstance(module, _BatchNorm)
            for buffer in module.buffers(recurse=False)
        ]
        if buffers:
            all_reduce_params(buffers, op='mean')
