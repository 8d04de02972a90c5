import json
from pathlib import Path

from mmpretrain.datasets import BaseDataset

from mmrot.errors import UserError
from mmrot.registry import DATASETS


@DATASETS.register_module()
class INaturalist2018(BaseDataset):
    """iNaturalist 2018 in the layout of its own archives: 8,142 species.

    ``train_val2018/<kingdom>/<category>/*.jpg`` beside ``train2018.json`` and
    ``val2018.json``, from https://github.com/visipedia/inat_comp/tree/master/2018.

    Args:
        ann_file (str): ``'train2018.json'`` or ``'val2018.json'``.
        data_root (str): Folder of the archives.
        **kwargs: ``pipeline``, ``indices`` and the other arguments of
            mmpretrain's ``BaseDataset``.
    """

    def __init__(self, ann_file: str, data_root: str = '', **kwargs) -> None:
        super().__init__(ann_file=ann_file, data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read the annotation file.

        Returns:
            list[dict]: ``img_path`` and ``gt_label``, the category, for each
            image.

        Raises:
            UserError: If the file has no images, annotations or categories, or
                an image has no annotation; names it.
        """
        content = json.loads(Path(self.ann_file).read_text(encoding='utf-8'))
        try:
            images, annotations = content['images'], content['annotations']
        except (KeyError, TypeError) as error:
            raise UserError(f'{self.ann_file}: expected the field {error}') from None
        labels = {item['image_id']: item['category_id'] for item in annotations}
        root = Path(self.data_root)
        data_list = []
        for image in images:
            if image['id'] not in labels:
                raise UserError(f'{self.ann_file}: {image["file_name"]} has no annotation')
            data_list.append(
                dict(img_path=str(root / image['file_name']), gt_label=labels[image['id']])
            )
        return data_list
