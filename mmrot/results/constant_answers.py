from collections import Counter
from typing import Any

from torch.utils.data import Dataset


def constant_answers(dataset: Dataset) -> dict[str, Any]:
    """Compute the accuracies of classifiers that do not look at the image.

    Args:
        dataset: Test data of mmpretrain or mmrot, or a wrapper with a ``dataset``.

    Returns:
        ``chance``, the expected accuracy of guessing, and ``majority``, that of always
        answering the most frequent class of the test data, in percent; empty unless each
        image has one class.
    """
    while not hasattr(dataset, 'get_gt_labels') and hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    if not classes or not hasattr(dataset, 'get_gt_labels'):  # mmpretrain's have it
        return {}
    labels = [dataset.get_data_info(index).get('gt_label') for index in range(len(dataset))]
    if any(label is None or isinstance(label, list) for label in labels):
        return {}
    ((_, most),) = Counter(map(int, labels)).most_common(1)
    return dict(chance=100 / len(classes), majority=100 * most / len(labels))
