import torch
import torch.nn.functional as F
from mmpretrain.structures import DataSample

from mmrot.models import IgnoreDifficultHead


def sample(labels: list[int], difficult: list[int]) -> DataSample:
    out = DataSample().set_gt_label(labels)
    out.set_field(difficult, 'gt_label_difficult', field_type='metainfo')
    return out


def test_classes_of_difficult_objects_only_have_neither_loss_nor_gradient():
    head = IgnoreDifficultHead(
        num_classes=3,
        in_channels=2,
        loss=dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True),
    )
    # class 1 is difficult in the first image, and difficult as well as not in the second
    samples = [sample([0], [1]), sample([1], [1])]
    scores = torch.randn(2, 3, requires_grad=True)
    loss = head._get_loss(scores, samples)['loss']
    expected = F.binary_cross_entropy_with_logits(
        scores, torch.tensor([[1.0, 0, 0], [0, 1, 0]]), reduction='none'
    )
    counted = torch.tensor([[1.0, 0, 1], [1, 1, 1]])
    torch.testing.assert_close(loss, (expected * counted).sum() / 2)
    loss.backward()
    assert torch.equal(scores.grad != 0, counted.bool())


def test_samples_without_difficult_objects_count_completely():
    head = IgnoreDifficultHead(
        num_classes=2,
        in_channels=2,
        loss=dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True),
    )
    loss = head._get_loss(torch.zeros(1, 2), [DataSample().set_gt_label([0])])['loss']
    torch.testing.assert_close(loss, 2 * torch.tensor(2.0).log())
