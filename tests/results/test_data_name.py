from types import SimpleNamespace

import pytest
from mmpretrain.datasets import CustomDataset

from mmrot.datasets import Digits, PerClassSubset
from mmrot.results import data_name


def test_data_name_of_a_class_folder_is_its_name(labelled_folder):
    assert data_name(CustomDataset(data_root=str(labelled_folder), data_prefix='test')) == (
        'three classes'
    )


def test_data_name_of_a_subset_is_that_of_its_data():
    assert data_name(Digits('test')) == 'Digits'
    assert data_name(PerClassSubset(dict(type='mmrot.Digits', split='train'), 3)) == 'Digits'


@pytest.mark.parametrize(
    ('ann_file', 'prefix', 'name'),
    [
        ('annotations/instances_val2017.json', {'img_path': 'val2017'}, 'coco instances_val2017'),
        ('test.txt', {'sub_data_root': '/a/VOC2007'}, 'coco/VOC2007 test'),
        ('', {'img_path': '/a/images/val'}, 'coco val'),
    ],
)
def test_data_name_of_boxes_and_masks_has_folder_and_split(ann_file, prefix, name):
    dataset = SimpleNamespace(
        seg_map_suffix='.png', data_root='data/coco', ann_file=ann_file, data_prefix=prefix
    )
    assert data_name(dataset) == name
