import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from mmrot.engine.deferred_scalars import must_wait
from mmrot.engine.resume import list_checkpoints
from mmrot.errors import UserError
from mmrot.registry import HOOKS


@HOOKS.register_module()
class CheckLossHook(Hook):
    """Stop training when the loss is not finite.

    Args:
        interval: Iterations between two checks on a GPU, which has to wait for them; the first
            iteration with such a loss is reported in any case. A CPU checks every iteration.
    """

    priority = 'NORMAL'  # before checkpoints are saved

    def __init__(self, interval: int = 100) -> None:
        self.interval = interval
        self._first: Tensor | None = None

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: object = None,
        outputs: dict | None = None,
    ) -> None:
        """Check the loss, on a GPU every ``interval`` iterations.

        Raises:
            UserError: If it is not; names the iteration and the last checkpoint.
        """
        loss = (outputs or {}).get('loss')
        if not isinstance(loss, Tensor):
            return
        if self._first is None:
            self._first = torch.zeros((), dtype=torch.long, device=loss.device)
        failed = ~loss.detach().isfinite().all() & (self._first == 0)
        self._first = torch.where(failed, runner.iter + 1, self._first)
        if not must_wait(loss) or self.every_n_train_iters(runner, self.interval):
            self._check(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Check before the checkpoint of the epoch is saved."""
        self._check(runner)

    def _check(self, runner: Runner) -> None:
        if self._first is None or not (first := int(self._first)):
            return
        saved = list_checkpoints(runner.work_dir)
        raise UserError(
            f'the loss is not finite in iteration {first}. '
            + (f'The last checkpoint is {saved[0]}. ' if saved else 'There is no checkpoint yet. ')
            + 'A lower learning rate, a longer warm-up or clip_grad may help.'
        )
