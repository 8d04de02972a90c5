import pytest
import torch

pytest.importorskip('mmseg')
from mmrot.segmentation import SubsetIoUMetric


def sample(name: str, prediction: list[int], mask: list[int]) -> dict:
    return dict(
        img_path=f'/data/{name}.jpg',
        pred_sem_seg=dict(data=torch.tensor([[prediction]])),
        gt_sem_seg=dict(data=torch.tensor([[mask]])),
    )


def test_subsets_are_evaluated_on_their_images(tmp_path):
    (tmp_path / 'list.txt').write_text('a\n')
    metric = SubsetIoUMetric({'seg11valid': str(tmp_path / 'list.txt')}, iou_metrics=['mIoU'])
    metric.dataset_meta = dict(classes=('background', 'dog'))
    right, wrong = sample('a', [0, 1], [0, 1]), sample('b', [0, 0], [0, 1])
    metric.process({}, [right, wrong])
    found = metric.evaluate(2)
    assert found['seg11valid/mIoU'] == 100
    assert found['mIoU'] == pytest.approx((2 / 3 + 1 / 2) / 2 * 100, abs=0.01)
    assert metric.results == []
    metric.process({}, [wrong])
    assert 'seg11valid/mIoU' not in metric.evaluate(1)


def test_empty_list_is_named(tmp_path):
    (tmp_path / 'list.txt').write_text('')
    with pytest.raises(ValueError, match=r'list\.txt lists no images'):
        SubsetIoUMetric({'seg11valid': str(tmp_path / 'list.txt')})
