from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from mmengine.runner import Runner

from mmrot.errors import UserError
from mmrot.files import write_atomically
from mmrot.registry import HOOKS


class _Deferred:
    """A file backend that removes files when it is told to, not before."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._outdated: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        self._outdated.append(path)

    def remove_outdated(self) -> None:
        for path in self._outdated:
            if self._backend.isfile(path):
                self._backend.remove(path)
        self._outdated.clear()


@HOOKS.register_module()
class CheckpointHook(MMEngineCheckpointHook):
    """mmengine's checkpoint hook, without a moment in which a checkpoint is missing.

    mmengine removes the oldest checkpoint, or the previous best one, before it saves the new
    one. This hook removes it afterwards. :class:`mmrot.engine.Runner` uses it in place of
    mmengine's; the files themselves are written by :meth:`mmrot.engine.Runner.save_checkpoint`.
    ``last_checkpoint`` contains a name relative to the work directory, which stays valid when
    the directory is copied.

    Args:
        **kwargs: Arguments of mmengine's ``CheckpointHook``.
    """

    file_backend: Any
    best_ckpt_path: str | None
    # of mmrot.RankMonitor
    _default_greater_keys = [*MMEngineCheckpointHook._default_greater_keys, 'rank/']

    def before_train(self, runner: Runner) -> None:
        """Prepare, and look for the best checkpoint in this work directory.

        Raises:
            UserError: If the best checkpoint is asked for, but there is no validation.
        """
        if self.save_best is not None and runner.val_loop is None:
            raise UserError(f'save_best={self.save_best} needs validation, which is off.')
        super().before_train(runner)
        self.file_backend = _Deferred(self.file_backend)
        resumed = Path(runner._load_from) if runner._resume else Path()
        if self.by_epoch and resumed == Path(runner.work_dir, f'iter_{runner.iter}.pth'):
            self.file_backend.remove(str(resumed))  # the next checkpoint replaces it
        if best := getattr(self, 'best_ckpt_path', None):  # the run may have been moved since
            self.best_ckpt_path = self._here(best)
        for key, path in getattr(self, 'best_ckpt_path_dict', {}).items():
            if path:
                self.best_ckpt_path_dict[key] = self._here(path)

    def _here(self, path: str) -> str:
        return self.file_backend.join_path(self.out_dir, Path(path).name)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                outdated = self.filename_tmpl.format(self.keep_ckpt_ids.popleft())
                self.file_backend.remove(self._here(outdated))
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self._here(name)
        runner.gather_statistics()
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            # out_dir is another folder or storage if the config says so
            pointer = name if self.out_dir == runner.work_dir else self.last_ckpt
            write_atomically(Path(runner.work_dir, 'last_checkpoint'), pointer)
            self.file_backend.remove_outdated()

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        for key in getattr(self, 'key_indicators', ()):
            if key != 'auto' and key not in metrics:
                raise UserError(
                    f'save_best={key} is not one of the metrics, {", ".join(metrics)}.'
                )
        super()._save_best_checkpoint(runner, metrics)
        if is_main_process():
            self.file_backend.remove_outdated()
