from mmengine.dist import all_reduce_params
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.nn.modules.batchnorm import _BatchNorm

from mmrot.registry import HOOKS


@HOOKS.register_module()
class SyncBuffersHook(Hook):
    """Average running statistics over the processes after every epoch.

    Without it each process validates with its own, and the checkpoint holds
    those of the first. mmengine's hook of that name averages all buffers, which
    can move those of frozen stages by a rounding; this one leaves them alone.
    """

    def after_train_epoch(self, runner: Runner) -> None:
        """Average the statistics of the batch norms that are in training mode."""
        buffers = [
            buffer
            for module in runner.model.modules()
            if module.training and isinstance(module, _BatchNorm)
            for buffer in module.buffers(recurse=False)
        ]
        if buffers:
            all_reduce_params(buffers, op='mean')
