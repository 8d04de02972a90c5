import json
from pathlib import Path

from mmpretrain.datasets import BaseDataset

from mmrot.errors import UserError
from mmrot.registry import DATASETS


@DATASETS.register_module()
class INaturalist2018(BaseDataset):
    """iNaturalist 2018, 8,142 species, in the layout of its archives.

    ``train_val2018/<kingdom>/<category>/*.jpg`` next to ``train2018.json`` and
    ``val2018.json``, from https://github.com/visipedia/inat_comp/tree/master/2018.

    Args:
        ann_file: ``'train2018.json'`` or ``'val2018.json'``.
        data_root: Folder with the extracted archives.
        **kwargs: ``pipeline``, ``indices`` and other arguments of mmpretrain's
            ``BaseDataset``.
    """

    def __init__(self, ann_file: str, data_root: str = '', **kwargs) -> None:
        super().__init__(ann_file=ann_file, data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Load the annotation file.

        Returns:
            ``img_path`` and ``gt_label``, the category, of each image.

        Raises:
            UserError: If a field or the annotation of an image is missing.
        """
        content = json.loads(Path(self.ann_file).read_text(encoding='utf-8'))
        try:
            images, annotations = content['images'], content['annotations']
        except (KeyError, TypeError) as error:
            raise UserError(f'{self.ann_file} has no field {error}.') from None
        labels = {item['image_id']: item['category_id'] for item in annotations}
        root = Path(self.data_root)
        data_list = []
        for image in images:
            if image['id'] not in labels:
                raise UserError(f'{self.ann_file} has no annotation of {image["file_name"]}.')
            data_list.append(
                dict(img_path=str(root / image['file_name']), gt_label=labels[image['id']])
            )
        return data_list
