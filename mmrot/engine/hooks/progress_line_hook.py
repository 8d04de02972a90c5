import sys
import time

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmrot.registry import HOOKS


@HOOKS.register_module()
class ProgressLineHook(Hook):
    """Print one line of progress instead of the log.

    On a terminal the line is updated after every iteration; otherwise one line is printed after
    each epoch. It includes the latest values of monitors such as :class:`mmrot.KNNMonitor`.
    """

    priority = 'LOWEST'

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._start = 0.0
        self._accuracy = ''

    def before_train(self, runner: Runner) -> None:
        self._start = time.time()
        self._first_iter = runner.iter

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None):
        if self._live:
            self._show(runner, end='\r')

    def after_train_epoch(self, runner: Runner) -> None:
        if not self._live:
            self._show(runner, end='\n')

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Store the accuracy of the latest validation."""
        if metrics and 'rotation/accuracy' in metrics:
            self._accuracy = f'  validation {metrics["rotation/accuracy"]:.1f} %'

    def after_train(self, runner: Runner) -> None:
        if self._live:
            self._show(runner, end='\n')

    @master_only
    def _show(self, runner: Runner, end: str) -> None:
        done = min(runner.iter + 1, runner.max_iters)
        seconds = time.time() - self._start
        rate = seconds / max(done - self._first_iter, 1)
        scalars = runner.message_hub.log_scalars
        epoch = min(runner.epoch + 1, runner.max_epochs)
        monitors = ''.join(
            f'  {key.removeprefix("monitor/")} {value.current():.1f}'
            for key, value in scalars.items()
            if key.startswith('monitor/')
        )
        text = (
            f'epoch {epoch:3d}/{runner.max_epochs}  loss {scalars["train/loss"].current():.3f}  '
            f'rotation accuracy: batch {scalars["train/accuracy"].current():5.1f} %'
            f'{self._accuracy}{monitors}  {rate * (runner.max_iters - done):.0f} s left'
        )
        print(f'{text:<120}', end=end, flush=True)
