from collections import Counter
from pathlib import Path
from xml.etree.ElementTree import ElementTree, ParseError

import numpy as np
from mmdet.datasets import VOCDataset as MMDetVOCDataset
from mmdet.evaluation import bbox_overlaps
from mmengine.logging import print_log

from mmrot.datasets.proposals import read_proposals
from mmrot.errors import UserError
from mmrot.registry import DATASETS

# Minimum IoU at which a proposal covers an object, and minimum fraction of objects to
# cover. Proposals for other images, or in another format, cover fewer.
_MIN_IOU, _MIN_RECALL = 0.5, 0.25


@DATASETS.register_module()
class VOCDataset(MMDetVOCDataset):
    """mmdet's ``VOCDataset`` with checks of classes, annotations and proposals.

    Proposals are read from ``.npz`` files, since mmdet's pickled ones can run code.

    Args:
        train_on_difficult: Whether difficult objects are ordinary ones in training. In
            testing they are ignored in any case.
        **kwargs: Arguments of mmdet's ``VOCDataset``.

    Raises:
        UserError: If an annotation is invalid, no object belongs to the classes,
            or proposals are missing or cover too few objects.
    """

    def __init__(self, train_on_difficult: bool = False, **kwargs) -> None:
        self.train_on_difficult = train_on_difficult
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict]:
        """Load the annotations."""
        classes = self._metainfo['classes']
        if isinstance(classes, str):
            raise UserError(f'metainfo.classes={classes} is not a tuple. Write ({classes},).')
        self._names: Counter[str] = Counter()
        data_list = super().load_data_list()
        others = ', '.join(
            f'{name} ({count})' for name, count in self._names.most_common() if name not in classes
        )
        if not any(info['instances'] for info in data_list):
            raise UserError(
                f'{self.ann_file}: no object belongs to the classes {", ".join(classes)}; found '
                f'{others or "no objects"}.'
            )
        if others:
            print_log(f'{self.ann_file}: skipped other classes: {others}', logger='current')
        return data_list

    def parse_data_info(self, img_info: dict) -> dict:
        """Parse one annotation.

        Raises:
            UserError: If the file is not a valid annotation.
        """
        try:
            return super().parse_data_info(img_info)
        except (AttributeError, ParseError, TypeError, ValueError) as error:
            raise UserError(f'annotation {img_info["xml_path"]} is invalid: {error}') from error

    def _parse_instance_info(
        self, raw_ann_info: ElementTree, minus_one: bool = True
    ) -> list[dict]:
        self._names.update(item.findtext('name', '') for item in raw_ann_info.findall('object'))
        instances = super()._parse_instance_info(raw_ann_info, minus_one)
        if self.train_on_difficult and not self.test_mode:
            for instance in instances:
                instance['ignore_flag'] = 0
        return instances

    def load_proposals(self) -> None:
        """Load the proposals of every image, ignoring other images in the file.

        Raises:
            UserError: If the file is not one of ``mmrot proposals``, an image has no entry, or too
                few objects are covered.
        """
        path = Path(self.data_root or '', self.proposal_file)
        proposals = read_proposals(path)
        found = objects = 0
        for info in self.data_list:
            key = '/'.join(Path(info['img_path']).parts[-2:])
            if key not in proposals:
                raise UserError(
                    f'{path} has no proposals for {key}. Compute them with `mmrot proposals`.'
                )
            info['proposals'] = proposals[key]
            boxes = np.asarray(proposals[key]['bboxes'], np.float32)  # (N, 4)
            targets = np.array([item['bbox'] for item in info['instances']], np.float32)  # (M, 4)
            objects += len(targets)
            if len(targets) and len(boxes):
                found += int((bbox_overlaps(targets, boxes).max(1) >= _MIN_IOU).sum())
        summary = f'{path}: proposals cover {found} of {objects} objects at IoU {_MIN_IOU}'
        print_log(summary, logger='current')
        if found < _MIN_RECALL * objects:
            raise UserError(f'{summary}. They seem to belong to other images.')
