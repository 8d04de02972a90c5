import pytest
import torch

from mmrot.evaluation import PerLayerAccuracy


def sample(label: int, **orders: list[int]) -> dict:
    """One image; each stage ranks the classes in the given order."""
    scores = {}
    for name, order in orders.items():
        scores[name] = torch.zeros(4)
        scores[name][order] = torch.tensor([0.4, 0.3, 0.2, 0.1])
    return dict(gt_label=torch.tensor([label]), layer_scores=scores)


def test_per_layer_accuracy_reports_topk_and_best():
    metric = PerLayerAccuracy(topk=(1, 2))
    metric.process(None, [sample(0, conv1=[0, 1, 2, 3], conv2=[1, 0, 2, 3])])
    metric.process(None, [sample(3, conv1=[3, 1, 2, 0], conv2=[1, 2, 0, 3])])
    metric.process(None, [sample(2, conv1=[0, 2, 1, 3], conv2=[2, 1, 0, 3])])
    assert metric.evaluate(3) == pytest.approx(
        {
            'conv1/top1': 100 * 2 / 3,
            'conv1/top2': 100.0,
            'conv2/top1': 100 / 3,
            'conv2/top2': 100 * 2 / 3,
            'best/top1': 100 * 2 / 3,
        }
    )


@pytest.mark.parametrize('value', [0.25, float('nan')])
def test_per_layer_accuracy_ranks_ties_and_nan_last(value):
    constant = dict(gt_label=torch.tensor([0]), layer_scores={'a': torch.full((4,), value)})
    metric = PerLayerAccuracy(topk=(1, 3, 4))
    metric.process(None, [constant])
    metrics = metric.evaluate(1)
    assert [metrics[f'a/top{k}'] for k in (1, 3, 4)] == [0, 0, 100]
