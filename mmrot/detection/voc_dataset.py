import math
from collections import Counter
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, ParseError

import mmengine
from mmdet.datasets import VOCDataset as MMDetVOCDataset
from mmengine.logging import print_log

from mmrot.registry import DATASETS


@DATASETS.register_module()
class VOCDataset(MMDetVOCDataset):
    """mmdet's VOC data set, which says what is wrong with a file, and counts.

    As in mmdet, fractions of a pixel are dropped and objects of other classes
    are skipped; both are counted in the log. What it takes for another value or
    cannot read is an error that names the file.

    Args:
        **kwargs: The arguments of mmdet's ``VOCDataset``.

    Raises:
        ValueError: If an annotation cannot be read, has an empty ``difficult`` or
            a box without area; if no object is of the classes; if an image has
            no proposals.
    """

    def load_data_list(self) -> list[dict]:
        """Read the annotations."""
        self._skipped: Counter[str] = Counter()
        self._fractions = 0
        data_list = super().load_data_list()
        if not data_list:
            raise ValueError(f'{self.ann_file}: expected names of images, it is empty')
        classes = ', '.join(self._metainfo['classes'])
        skipped = ', '.join(f'{name} ({n})' for name, n in self._skipped.most_common(5))
        if not any(data_info['instances'] for data_info in data_list):
            raise ValueError(
                f'{self.ann_file}: no object is of the classes {classes}, but of {skipped}; '
                'expected metainfo.classes of the data set'
            )
        if skipped:
            print_log(
                f'{self.ann_file}: skipped {self._skipped.total()} objects of other classes: '
                f'{skipped}',
                logger='current',
            )
        if self._fractions:
            print_log(
                f'{self.ann_file}: dropped the fractions of a pixel of {self._fractions} objects',
                logger='current',
            )
        return data_list

    def parse_data_info(self, img_info: dict) -> dict:
        """Read one annotation.

        Raises:
            ValueError: Names the file.
        """
        try:
            return super().parse_data_info(img_info)
        except (AttributeError, ParseError, TypeError, ValueError) as error:
            raise ValueError(f'annotation {img_info["xml_path"]}: {error}') from error

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
            raise ValueError(f'{name}: difficult is {difficult!r}, expected 0 or 1')
        texts = [item.findtext(f'bndbox/{side}', '') for side in ('xmin', 'ymin', 'xmax', 'ymax')]
        try:
            box = [float(text) for text in texts]
        except ValueError:
            box = [math.nan]
        if not all(map(math.isfinite, box)) or box[0] >= box[2] or box[1] >= box[3]:
            raise ValueError(
                f'{name}: box {", ".join(texts)}, expected xmin, ymin, xmax, ymax with '
                'xmin < xmax and ymin < ymax'
            )
        self._fractions += any(side != int(side) for side in box)

    def load_proposals(self) -> None:
        """Give every image its proposals.

        Raises:
            ValueError: If the file holds something else, or lacks an image.
        """
        path = Path(self.data_root or '', self.proposal_file)
        proposals = mmengine.load(path)
        keys = ['/'.join(Path(info['img_path']).parts[-2:]) for info in self.data_list]
        if not isinstance(proposals, dict):
            raise ValueError(f'{path}: expected a dict from image to boxes')
        missing = [key for key in keys if key not in proposals]
        if missing:
            raise ValueError(
                f'{path} has no proposals for {len(missing)} of the {len(keys)} images of '
                f'{self.ann_file}, such as {missing[0]}: it has {len(proposals)} others, such as '
                f'{next(iter(proposals), "none")}; see tools/selective_search.py'
            )
        for key, data_info in zip(keys, self.data_list, strict=True):
            data_info['proposals'] = proposals[key]
