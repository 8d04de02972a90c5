from pathlib import Path

import pytest

pytest.importorskip('mmdet')
from mmrot.detection import VOCDataset

OBJECT = (
    '<object><name>{name}</name>{difficult}<bndbox><xmin>{xmin}</xmin><ymin>5</ymin>'
    '<xmax>{xmax}</xmax><ymax>40</ymax></bndbox></object>'
)


def write(root: Path, *objects: dict, text: str | None = None) -> VOCDataset:
    """A VOC 2007 of one image, with these objects or this text."""
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
        test_mode=True,
    )


def test_boxes_count_from_zero(tmp_path):
    dataset = write(tmp_path, {}, {'difficult': ''}, {'difficult': '<difficult>1</difficult>'})
    found = dataset[0]['instances']
    assert [item['bbox'] for item in found] == [[4, 4, 39, 39]] * 3
    assert [item['ignore_flag'] for item in found] == [0, 0, 1]
    assert {item['bbox_label'] for item in found} == {11}


def test_fractions_and_other_classes_are_counted(tmp_path, capsys):
    dataset = write(tmp_path, {'xmin': '5.7'}, {'name': 'raccoon'}, {'name': 'raccoon'})
    assert [item['bbox'] for item in dataset[0]['instances']] == [[4, 4, 39, 39]]
    printed = capsys.readouterr().out
    assert 'skipped 2 objects of other classes: raccoon (2)' in printed
    assert 'dropped the fractions of a pixel of 1 objects' in printed


@pytest.mark.parametrize(
    ('item', 'message'),
    [
        ({'difficult': '<difficult/>'}, "dog: difficult is '', expected 0 or 1"),
        ({'difficult': '<difficult>yes</difficult>'}, "dog: difficult is 'yes'"),
        ({'xmin': '40'}, r'dog: box 40, 5, 40, 40, expected .* xmin < xmax'),
        ({'xmin': '40.1', 'xmax': '40.8'}, r'dog: box 40\.1, 5, 40\.8, 40.* in whole pixels'),
        ({'xmin': 'nan'}, 'dog: box nan, 5, 40, 40'),
        ({'xmin': 'five'}, 'dog: box five, 5, 40, 40'),
        ({'xmax': ''}, 'dog: box 5, 5, , 40'),
    ],
)
def test_objects_that_are_no_truth(item, message, tmp_path):
    with pytest.raises(ValueError, match=rf'annotation .*000001\.xml: {message}'):
        write(tmp_path, {}, item)


def test_boxes_that_leave_their_image_are_counted(tmp_path, capsys):
    write(tmp_path, {'xmax': '60'}, {'xmax': '61'})  # of an image of 60 pixels
    assert 'boxes leave their image, 1 objects' in capsys.readouterr().out


def test_files_that_are_no_annotation(tmp_path):
    with pytest.raises(ValueError, match=r'annotation .*000001\.xml: .*no element found'):
        write(tmp_path, text='')
    with pytest.raises(ValueError, match=r'no object is of the classes aeroplane.*raccoon \(1\)'):
        write(tmp_path, {'name': 'raccoon'})
    (tmp_path / 'VOC2007/Annotations/000001.xml').unlink()
    with pytest.raises(FileNotFoundError, match=r'000001\.xml'):
        VOCDataset(
            data_root=str(tmp_path),
            ann_file='VOC2007/ImageSets/Main/test.txt',
            data_prefix=dict(sub_data_root='VOC2007/'),
        )
