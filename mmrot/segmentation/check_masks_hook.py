from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from mmrot.errors import UserError
from mmrot.registry import HOOKS


@HOOKS.register_module()
class CheckMasksHook(Hook):
    """Raise an error for invalid class indices in masks and inconsistent settings.

    On a GPU, an invalid index triggers a device-side assertion that does not name
    the file; during testing, it would silently count as an error for every class.
    """

    def before_train(self, runner: Runner) -> None:
        """Compare the ignore indices of head, data preprocessor and metric.

        Raises:
            UserError: If they differ.
        """
        model = _unwrap(runner.model)
        ignored = model.decode_head.ignore_index
        settings = {'model.data_preprocessor.seg_pad_val': model.data_preprocessor.seg_pad_val}
        if runner.val_loop is not None:
            for metric in runner.val_loop.evaluator.metrics:
                settings['val_evaluator.ignore_index'] = getattr(metric, 'ignore_index', ignored)
        for name, value in settings.items():
            if value != ignored:
                raise UserError(f'{name}={value} differs from decode_head.ignore_index={ignored}.')

    def _before_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, mode: str = 'train'
    ) -> None:
        """Check the sizes of training images and the masks of a batch.

        Raises:
            UserError: If an image exceeds the padded size or a mask is invalid.
        """
        model = _unwrap(runner.model)
        size, head = model.data_preprocessor.size, model.decode_head
        batch = data_batch or {'inputs': [], 'data_samples': []}
        for image, sample in zip(batch['inputs'], batch['data_samples'], strict=True):
            if mode == 'train' and size is not None:
                shape = tuple(image.shape[-2:])
                if shape[0] > size[0] or shape[1] > size[1]:
                    raise UserError(
                        f'{sample.img_path} has (height, width) {shape}, which exceeds '
                        f'model.data_preprocessor.size={tuple(size)}.'
                    )
            if 'gt_sem_seg' not in sample:
                continue
            mask = sample.gt_sem_seg.data
            invalid = ((mask < 0) | (mask >= head.num_classes)) & (mask != head.ignore_index)
            if invalid.any():
                indices = mask[invalid].unique().tolist()[:5]
                raise UserError(
                    f'mask {sample.seg_map_path} has class indices {indices}. Expected 0 to '
                    f'{head.num_classes - 1}, or {head.ignore_index} where unlabelled, the '
                    'ignore_index of decode_head and val_evaluator and the seg_pad_val of '
                    'data_preprocessor.'
                )


def _unwrap(model: nn.Module) -> nn.Module:
    return model.module if is_model_wrapper(model) else model
