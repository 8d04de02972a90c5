import math
from collections import Counter
from pathlib import Path
from pickle import UnpicklingError
from xml.etree.ElementTree import Element, ElementTree, ParseError

import mmengine
import numpy as np
from mmdet.datasets import VOCDataset as MMDetVOCDataset
from mmdet.evaluation import bbox_overlaps
from mmengine.logging import print_log

from mmrot.errors import UserError
from mmrot.registry import DATASETS

# An object counts as covered from this IoU; of other images' objects few are.
_COVERED, _FEWEST = 0.5, 0.25


@DATASETS.register_module()
class VOCDataset(MMDetVOCDataset):
    """mmdet's VOC data set, which says what is wrong with a file, and counts.

    As in mmdet, fractions of a pixel are dropped and objects of other classes
    are skipped; both are counted in the log, and so are boxes that leave their
    image, and objects that proposals cover. What it takes for another value or
    cannot read is an error that names the file.

    Args:
        **kwargs: The arguments of mmdet's ``VOCDataset``.

    Raises:
        FileNotFoundError: If an image is missing, or empty.
        UserError: If an annotation cannot be read, has an empty ``difficult`` or
            a box without area; if no object is of the classes; if proposals are
            of other images, or no boxes.
    """

    def __init__(self, **kwargs) -> None:
        classes = (kwargs.get('metainfo') or {}).get('classes')
        if isinstance(classes, str):
            raise UserError(f'metainfo.classes={classes}: expected a tuple, ({classes},)')
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict]:
        """Read the annotations."""
        self._skipped: Counter[str] = Counter()
        self._fractions = self._outside = 0
        data_list = super().load_data_list()
        if not data_list:
            raise UserError(f'{self.ann_file}: expected names of images, it is empty')
        for data_info in data_list:
            photo = Path(data_info['img_path'])
            if not photo.is_file() or not photo.stat().st_size:
                raise FileNotFoundError(f'{photo}: expected an image, it is missing or empty')
        classes = ', '.join(self._metainfo['classes'])
        skipped = ', '.join(f'{name} ({n})' for name, n in self._skipped.most_common(5))
        if not any(data_info['instances'] for data_info in data_list):
            raise UserError(
                f'{self.ann_file}: no object is of the classes {classes}, but of {skipped}; '
                'expected metainfo.classes of the data set'
            )
        if skipped:
            print_log(
                f'{self.ann_file}: skipped {self._skipped.total()} objects of other classes: '
                f'{skipped}',
                logger='current',
            )
        for count, what in (
            (self._fractions, 'dropped the fractions of a pixel of'),
            (self._outside, 'boxes leave their image,'),
        ):
            if count:
                print_log(f'{self.ann_file}: {what} {count} objects', logger='current')
        return data_list

    def parse_data_info(self, img_info: dict) -> dict:
        """Read one annotation.

        Raises:
            UserError: Names the file.
        """
        try:
            data_info = super().parse_data_info(img_info)
        except (AttributeError, ParseError, TypeError, ValueError) as error:
            raise UserError(f'annotation {img_info["xml_path"]}: {error}') from error
        for instance in data_info['instances']:
            x1, y1, x2, y2 = instance['bbox']
            inside = min(x1, y1) >= 0 and x2 < data_info['width'] and y2 < data_info['height']
            self._outside += not inside
        return data_info

    def _parse_instance_info(
        self, raw_ann_info: ElementTree, minus_one: bool = True
    ) -> list[dict]:
        for item in raw_ann_info.findall('object'):
            name = item.findtext('name', '')
            if name in self._metainfo['classes']:
                self._check(item, name)
            else:
                self._skipped[name] += 1
        return super()._parse_instance_info(raw_ann_info, minus_one)

    def _check(self, item: Element, name: str) -> None:
        difficult = item.findtext('difficult')
        if difficult is not None and difficult.strip() not in ('0', '1'):
            raise UserError(f'{name}: difficult is {difficult!r}, expected 0 or 1')
        texts = [item.findtext(f'bndbox/{side}', '') for side in ('xmin', 'ymin', 'xmax', 'ymax')]
        try:
            box = [float(text) for text in texts]
        except ValueError:
            box = [math.nan]
        pixels = [int(side) for side in box] if all(map(math.isfinite, box)) else [0] * 4
        if pixels[0] >= pixels[2] or pixels[1] >= pixels[3]:
            raise UserError(
                f'{name}: box {", ".join(texts)}, expected xmin, ymin, xmax, ymax with '
                'xmin < xmax and ymin < ymax in whole pixels'
            )
        self._fractions += box != pixels

    def load_proposals(self) -> None:
        """Give every image its proposals.

        Raises:
            UserError: If the file holds something else, or lacks an image.
        """
        path = Path(self.data_root or '', self.proposal_file)
        try:
            proposals = mmengine.load(path)
        except (EOFError, IndexError, KeyError, UnpicklingError, ValueError) as error:
            raise UserError(f'{path}: expected proposals ({error})') from error
        keys = ['/'.join(Path(info['img_path']).parts[-2:]) for info in self.data_list]
        if not isinstance(proposals, dict):
            raise UserError(f'{path}: expected a dict from image to boxes')
        missing = [key for key in keys if key not in proposals]
        if missing:
            raise UserError(
                f'{path} has no proposals for {len(missing)} of the {len(keys)} images of '
                f'{self.ann_file}, such as {missing[0]}: it has {len(proposals)} others, such as '
                f'{next(iter(proposals), "none")}; see tools/selective_search.py'
            )
        found = objects = 0
        for key, data_info in zip(keys, self.data_list, strict=True):
            size = (data_info['width'], data_info['height'])
            boxes = _check_proposals(proposals[key], size, f'{path}, {key}')
            data_info['proposals'] = proposals[key]
            truth = np.array([i['bbox'] for i in data_info['instances']], np.float32)
            objects += len(truth)
            if len(truth) and len(boxes):
                found += int((bbox_overlaps(truth, boxes).max(1) >= _COVERED).sum())
        print_log(
            f'{path}: proposals cover {found} of {objects} objects at IoU {_COVERED}',
            logger='current',
        )
        if found < _FEWEST * objects:
            raise UserError(
                f'{path}: proposals cover {found} of {objects} objects at IoU {_COVERED}; '
                'expected those of these images'
            )


def _check_proposals(proposals: dict, size: tuple[int, int], where: str) -> np.ndarray:
    """Check the proposals of an image of some width and height.

    Returns:
        np.ndarray: (N, 4), boxes.

    Raises:
        UserError: Names the file and the image.
    """
    try:
        boxes = np.asarray(proposals['bboxes'], np.float32)
        scores = np.asarray(proposals['scores'])
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise UserError(f'{where}: expected bboxes and scores ({error})') from error
    if boxes.ndim != 2 or boxes.shape[1] != 4 or scores.shape != boxes.shape[:1]:
        raise UserError(
            f'{where}: bboxes {boxes.shape} and scores {scores.shape}, expected (N, 4) and (N,)'
        )
    # a pixel more, for those who count to the far edge
    good = (boxes[:, :2] < boxes[:, 2:]).all(1) & (boxes >= -1).all(1)
    good &= (boxes[:, 2:] <= np.array(size) + 1).all(1)
    if not good.all():
        raise UserError(
            f'{where}: box {boxes[~good][0].tolist()}, expected x1 < x2 and y1 < y2 in an image '
            f'of {size[0]}x{size[1]}'
        )
    return boxes
