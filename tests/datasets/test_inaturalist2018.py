import json

import pytest

from mmrot.datasets import INaturalist2018


def test_inaturalist_labels_follow_image_ids(data_root):
    root = data_root / 'inaturalist2018'
    dataset = INaturalist2018('train2018.json', data_root=str(root))
    assert len(dataset) == 8
    for index in range(8):
        info = dataset.get_data_info(index)
        assert info['img_path'] == str(root / f'train_val2018/Aves/{index % 2}/train_{index}.jpg')
        assert info['gt_label'] == index % 2


def test_inaturalist_rejects_missing_fields(tmp_path):
    path = tmp_path / 'val2018.json'
    path.write_text(json.dumps({'images': []}))
    with pytest.raises(ValueError, match=r"val2018\.json has no field 'annotations'"):
        INaturalist2018('val2018.json', data_root=str(tmp_path))
    path.write_text(json.dumps({'images': [{'id': 1, 'file_name': 'a.jpg'}], 'annotations': []}))
    with pytest.raises(ValueError, match=r'val2018\.json has no annotation of a\.jpg'):
        INaturalist2018('val2018.json', data_root=str(tmp_path))
