from pathlib import Path

from mmpretrain.datasets import VOC, CustomDataset
from torch.utils.data import Dataset


def data_name(dataset: Dataset) -> str:
    """Return the name under which a dataset appears in the results.

    Args:
        dataset: Dataset of mmpretrain, mmdet, mmseg or mmrot, or a wrapper with a
            ``dataset``.

    Returns:
        Name of the folder for images in one folder per class, folder and split
        for VOC and for data with boxes or masks, and otherwise the class name
        of the dataset.
    """
    while hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    if type(dataset) is CustomDataset:  # its subclasses, such as ImageNet, have a name
        return Path(dataset.data_root or dataset.img_prefix).resolve().name
    if isinstance(dataset, VOC):
        return f'{Path(dataset.data_root).resolve().name} {dataset.split}'
    if hasattr(dataset, 'seg_map_suffix') and dataset.data_root:  # mmdet's and mmseg's
        folder = Path(dataset.data_root).resolve().name
        if subfolder := dataset.data_prefix.get('sub_data_root'):
            folder += f'/{Path(subfolder).name}'
        split = dataset.ann_file or dataset.data_prefix['img_path']
        return f'{folder} {Path(split).stem}'
    return type(dataset).__name__
