from mmdet.evaluation import VOCMetric as MMDetVOCMetric
from mmdet.evaluation import eval_map
from mmengine.logging import MMLogger

from mmrot.errors import UserError
from mmrot.registry import METRICS


@METRICS.register_module()
class VOCMetric(MMDetVOCMetric):
    """mmdet's ``VOCMetric`` that also reports the average precision of each class.

    Args:
        **kwargs: Arguments of mmdet's ``VOCMetric``.

    Raises:
        UserError: If ``metric`` is not ``'mAP'`` or ``scale_ranges`` is set.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        if self.metric != 'mAP' or self.scale_ranges is not None:
            raise UserError(
                f'metric={self.metric!r} with scale_ranges={self.scale_ranges} is not supported. '
                "Expected 'mAP' and None."
            )

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute the average precisions.

        Args:
            results: Annotations and detections of each image.

        Returns:
            Values between 0 and 1: for each IoU threshold, such as 0.5, ``AP50``
            and ``AP50/<class>`` of every class with objects, and ``mAP``, the mean
            over the thresholds.
        """
        annotations, detections = zip(*results, strict=True)
        classes = self.dataset_meta['classes']
        metrics = {}
        means = []
        for overlap in self.iou_thrs:
            mean, per_class = eval_map(
                detections,
                annotations,
                iou_thr=overlap,
                dataset=classes,
                logger=MMLogger.get_current_instance(),
                eval_mode=self.eval_mode,
                use_legacy_coordinate=True,  # as in VOC's development kit
            )
            means.append(mean)
            name = f'AP{overlap * 100:02.0f}'
            metrics[name] = mean
            for label, result in zip(classes, per_class, strict=True):
                if result['num_gts'] > 0:
                    metrics[f'{name}/{label}'] = float(result['ap'])
        return {'mAP': sum(means) / len(means), **metrics}
