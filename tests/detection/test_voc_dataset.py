from pathlib import Path

import pytest

pytest.importorskip('mmdet')
from mmrot.detection import VOCDataset

OBJECT = (
    '<object><name>{name}</name>{difficult}<bndbox><xmin>{xmin}</xmin><ymin>5</ymin>'
    '<xmax>{xmax}</xmax><ymax>40</ymax></bndbox></object>'
)


def write(root: Path, *objects: dict, text: str | None = None, **options) -> VOCDataset:
    """VOC 2007 with one image, and these objects or this text as its annotation."""
    for folder in ('Annotations', 'ImageSets/Main', 'JPEGImages'):
        (root / 'VOC2007' / folder).mkdir(parents=True, exist_ok=True)
    (root / 'VOC2007/ImageSets/Main/test.txt').write_text('000001\n')
    (root / 'VOC2007/JPEGImages/000001.jpg').write_bytes(b'a photo')
    default = {'name': 'dog', 'difficult': '<difficult>0</difficult>', 'xmin': '5', 'xmax': '40'}
    body = ''.join(OBJECT.format(**{**default, **item}) for item in objects)
    size = '<size><width>60</width><height>50</height><depth>3</depth></size>'
    xml = f'<annotation>{size}{body}</annotation>'
    (root / 'VOC2007/Annotations/000001.xml').write_text(xml if text is None else text)
    return VOCDataset(
        data_root=str(root),
        ann_file='VOC2007/ImageSets/Main/test.txt',
        data_prefix=dict(sub_data_root='VOC2007/'),
        **{'test_mode': True, **options},
    )


def test_voc_dataset_boxes_count_from_zero(tmp_path):
    dataset = write(tmp_path, {}, {'difficult': ''}, {'difficult': '<difficult>1</difficult>'})
    found = dataset[0]['instances']
    assert [item['bbox'] for item in found] == [[4, 4, 39, 39]] * 3
    assert [item['ignore_flag'] for item in found] == [0, 0, 1]
    assert {item['bbox_label'] for item in found} == {11}


@pytest.mark.parametrize(('test_mode', 'flags'), [(False, [0, 0]), (True, [0, 1])])
def test_difficult_objects_train_but_are_ignored_in_testing(test_mode, flags, tmp_path):
    objects = ({}, {'difficult': '<difficult>1</difficult>'})
    dataset = write(tmp_path, *objects, test_mode=test_mode, train_on_difficult=True)
    assert [item['ignore_flag'] for item in dataset.get_data_info(0)['instances']] == flags


def test_voc_dataset_logs_other_classes(tmp_path, capsys):
    dataset = write(tmp_path, {}, {'name': 'raccoon'}, {'name': 'raccoon'})
    assert len(dataset[0]['instances']) == 1
    assert 'skipped other classes: raccoon (2)' in capsys.readouterr().out


@pytest.mark.parametrize(
    'item', [{'difficult': '<difficult/>'}, {'xmin': 'nan'}, {'xmin': 'five'}, {'xmax': ''}]
)
def test_voc_dataset_names_the_file_of_an_invalid_object(item, tmp_path):
    with pytest.raises(ValueError, match=r'annotation .*000001\.xml is invalid: .*(int|float)'):
        write(tmp_path, {}, item)


def test_voc_dataset_names_an_unreadable_annotation(tmp_path):
    with pytest.raises(ValueError, match=r'annotation .*000001\.xml is invalid: no element found'):
        write(tmp_path, text='')


def test_voc_dataset_rejects_data_without_objects_of_its_classes(tmp_path):
    with pytest.raises(ValueError, match=r'no object belongs to .*aeroplane, .* raccoon \(1\)'):
        write(tmp_path, {'name': 'raccoon'})
