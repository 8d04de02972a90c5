from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmseg.evaluation import IoUMetric

from mmrot.errors import UserError
from mmrot.registry import METRICS


@METRICS.register_module()
class SubsetIoUMetric(IoUMetric):
    """mmseg's ``IoUMetric`` that also reports subsets of the images.

    Args:
        subsets: Lists of image names, one a line, by name of the subset. A number of
            a subset has its name as a prefix, such as ``seg11valid/mIoU``.
        **kwargs: Arguments of mmseg's ``IoUMetric``.

    Raises:
        UserError: If a list is empty.
    """

    def __init__(self, subsets: dict[str, str], **kwargs) -> None:
        super().__init__(**kwargs)
        self.subsets = {
            name: frozenset(Path(file).read_text().split()) for name, file in subsets.items()
        }
        for name, file in subsets.items():
            if not self.subsets[name]:
                raise UserError(f'{file} lists no images.')

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Record the areas of each image, and the name of the image.

        Args:
            data_batch: Not used.
            data_samples: Predictions with ``img_path``.
        """
        for sample in data_samples:
            super().process(data_batch, [sample])
            self.results.append((Path(sample['img_path']).stem, self.results.pop()))

    def compute_metrics(self, results: list) -> dict[str, Any]:
        """Compute the metrics over all images and over each subset.

        Args:
            results: Name and areas of each image.

        Returns:
            Metrics in percent, those of subsets with a prefix. Subsets without an
            image among the results are left out.
        """
        metrics = super().compute_metrics([areas for _, areas in results])
        for subset, names in self.subsets.items():
            if found := [areas for name, areas in results if name in names]:
                values = super().compute_metrics(found)
                metrics.update({f'{subset}/{key}': value for key, value in values.items()})
        return metrics
