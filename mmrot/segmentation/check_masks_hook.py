from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from mmrot.errors import UserError
from mmrot.registry import HOOKS


@HOOKS.register_module()
class CheckMasksHook(Hook):
    """Refuse masks with values that are no class, and settings that do not agree.

    On a GPU such a value ends in a device-side assertion that names nothing, in
    testing it is counted as a miss of every class. Masks are checked as they come.
    """

    def before_train(self, runner: Runner) -> None:
        """Compare what head, preprocessor and metric take for not labelled.

        Raises:
            UserError: If they differ; names the settings.
        """
        model = _model(runner)
        ignored = model.decode_head.ignore_index
        settings = {'model.data_preprocessor.seg_pad_val': model.data_preprocessor.seg_pad_val}
        if runner.val_loop is not None:
            for metric in runner.val_loop.evaluator.metrics:
                if hasattr(metric, 'ignore_index'):
                    settings['val_evaluator.ignore_index'] = metric.ignore_index
        for name, value in settings.items():
            if value != ignored:
                raise UserError(
                    f'{name}={value}: expected {ignored}, as model.decode_head.ignore_index'
                )

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Check the images and the masks of a batch."""
        self._check_sizes(runner, data_batch)
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

    def _check_sizes(self, runner: Runner, data_batch: dict | None) -> None:
        """Check that images fit what they are padded to.

        Raises:
            UserError: Names the image.
        """
        size = _model(runner).data_preprocessor.size
        if size is None:
            return
        batch = data_batch or {'inputs': (), 'data_samples': ()}
        for image, sample in zip(batch['inputs'], batch['data_samples'], strict=True):
            shape = tuple(image.shape[-2:])
            if shape[0] > size[0] or shape[1] > size[1]:
                raise UserError(
                    f'{sample.img_path} has (height, width) {shape}: expected at most '
                    f'model.data_preprocessor.size={tuple(size)}'
                )

    def _check(self, runner: Runner, data_batch: dict | None) -> None:
        """Check every mask.

        Raises:
            UserError: Names the file and its values.
        """
        head = _model(runner).decode_head
        for sample in (data_batch or {}).get('data_samples', ()):
            if 'gt_sem_seg' not in sample:
                continue
            mask = sample.gt_sem_seg.data
            odd = (mask < 0) | (mask >= head.num_classes)
            odd &= mask != head.ignore_index
            if odd.any():
                values = sorted(mask[odd].unique().tolist())
                raise UserError(
                    f'mask {sample.seg_map_path} has the values '
                    f'{", ".join(map(str, values[:5]))}: expected 0 to {head.num_classes - 1}, or '
                    f'{head.ignore_index} where nothing is labelled, which is ignore_index of '
                    'model.decode_head and val_evaluator and seg_pad_val of '
                    'model.data_preprocessor'
                )


def _model(runner: Runner) -> nn.Module:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
