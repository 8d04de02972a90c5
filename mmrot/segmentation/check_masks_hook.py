from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmrot.registry import HOOKS


@HOOKS.register_module()
class CheckMasksHook(Hook):
    """Refuse masks with values that are no class.

    On a GPU such a value ends in a device-side assertion that names nothing, in
    testing it is counted as a miss of every class.
    """

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Check the masks of a batch."""
        self._check(runner, data_batch)

    def before_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Check the masks of a batch."""
        self._check(runner, data_batch)

    def before_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Check the masks of a batch."""
        self._check(runner, data_batch)

    def _check(self, runner: Runner, data_batch: dict | None) -> None:
        """Check every mask.

        Raises:
            ValueError: Names the file and its values.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        head = model.decode_head
        for sample in (data_batch or {}).get('data_samples', ()):
            if 'gt_sem_seg' not in sample:
                continue
            mask = sample.gt_sem_seg.data
            odd = (mask < 0) | (mask >= head.num_classes)
            odd &= mask != head.ignore_index
            if odd.any():
                values = sorted(mask[odd].unique().tolist())
                raise ValueError(
                    f'mask {sample.seg_map_path} has the values '
                    f'{", ".join(map(str, values[:5]))}: expected 0 to {head.num_classes - 1}, or '
                    f'{head.ignore_index} where nothing is labelled (model.decode_head.'
                    'ignore_index, val_evaluator.ignore_index)'
                )
