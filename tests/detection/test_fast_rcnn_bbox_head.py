"""Girshick's box targets and detections, on hand-made regions."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import shipped
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, TASK_UTILS, DefaultScope
from mmengine.structures import InstanceData

pytest.importorskip('mmdet')
pytest.importorskip('mmcv._ext')
from mmrot.detection import BoxStatisticsHook, FastRCNNBBoxHead

CONFIGS = [
    f'benchmarks/detection/{name}_alexnet_voc07.py' for name in ('faster_rcnn', 'fast_rcnn')
]
CODER = dict(type='DeltaXYWHBBoxCoder', target_means=[0.0] * 4, target_stds=[1.0] * 4)


@pytest.fixture
def head() -> FastRCNNBBoxHead:
    with DefaultScope.overwrite_default_scope('mmdet'):
        return FastRCNNBBoxHead(
            in_channels=1, roi_feat_size=1, fc_out_channels=4, num_classes=3, bbox_coder=CODER
        )


def test_box_statistics_are_those_of_each_class(head):
    """Of class 0: an object of 10×10, a proposal shifted by 2, and one that does not overlap."""
    infos = [
        dict(
            instances=[dict(bbox=[0, 0, 10, 10], bbox_label=0, ignore_flag=0)],
            proposals=dict(bboxes=np.array([[0, 2, 10, 12], [50, 50, 60, 60]], np.float32)),
        ),
        dict(instances=[dict(bbox=[0, 0, 9, 9], bbox_label=1, ignore_flag=1)]),
        dict(instances=[], proposals=dict(bboxes=np.zeros((0, 4), np.float32))),
    ]

    class Data(list):
        get_data_info = list.__getitem__

    means, stds = BoxStatisticsHook().measure(head, Data(infos))
    # vertical shifts of 0 and -0.2 heights
    torch.testing.assert_close(means, torch.tensor([[0, -0.1, 0, 0], [0] * 4, [0] * 4]))
    torch.testing.assert_close(stds[0], torch.tensor([1e-3, 0.1, 1e-3, 1e-3]))
    assert stds[1:].eq(1).all()  # no example


def test_box_statistics_count_mirror_images(head):
    class Data(list):
        get_data_info = list.__getitem__

    info = dict(
        instances=[dict(bbox=[0, 0, 10, 10], bbox_label=2, ignore_flag=0)],
        proposals=dict(bboxes=np.array([[2, 0, 12, 10]], np.float32)),
    )
    means, stds = BoxStatisticsHook().measure(head, Data([info]))
    assert means[2].tolist() == [0] * 4
    assert stds[2, 0].item() == pytest.approx((0.04 / 2) ** 0.5)  # 0, 0 and ±0.2


def test_box_targets_are_normalised_per_class_and_predictions_denormalised(head):
    head.box_means[1] = torch.tensor([0.1, 0, 0, 0])
    head.box_stds[1] = torch.tensor([0.5, 2, 2, 2])
    regions = torch.tensor([[0.0, 0, 10, 10]] * 2)
    objects = torch.tensor([[2.0, 0, 12, 10]] * 2)  # dx = 0.2
    labels, _, targets, _ = head._get_targets_single(
        *(regions, regions[:1] + 50, objects, torch.tensor([0, 1])), ConfigDict(pos_weight=-1)
    )
    assert labels.tolist() == [0, 1, 3]
    expected = torch.tensor([[0.2, 0, 0, 0], [0.2, 0, 0, 0], [0] * 4])  # (0.2 - 0.1) / 0.5
    torch.testing.assert_close(targets, expected)
    rois = torch.tensor([[0.0, 0, 0, 10, 10]])
    found = head._predict_by_feat_single(
        *(rois, torch.zeros(1, 4), targets[1].repeat(1, 3), dict(img_shape=(100, 100)))
    )
    torch.testing.assert_close(found.bboxes[0, 4:8], torch.tensor([2.0, 0, 12, 10]))


def test_every_class_keeps_its_best_regions_whatever_their_scores(head):
    rois = torch.tensor([[0.0, 20 * i, 0, 20 * i + 10, 10] for i in range(5)])
    scores = torch.full((5, 4), -20.0)
    scores[:, 3] = 20  # background
    scores[:, 0] = torch.arange(5.0) - 30
    cfg = ConfigDict(
        score_thr=0.0, nms=dict(type='nms', iou_threshold=0.3), max_per_class=2, max_per_img=6
    )
    found = head._predict_by_feat_single(
        *(rois, scores, torch.zeros(5, 12), dict(img_shape=(100, 200)), False, cfg)
    )
    assert isinstance(found, InstanceData)
    assert found.labels.bincount().tolist() == [2, 2, 2]
    assert found.bboxes[found.labels == 0][:, 0].sort().values.tolist() == [60, 80]


def test_hook_sets_the_statistics_only_at_the_start(head):
    model = SimpleNamespace(roi_head=SimpleNamespace(bbox_head=head))
    BoxStatisticsHook().before_train(SimpleNamespace(iter=3, model=model))
    assert head.box_stds.eq(1).all()
    assert {'box_means', 'box_stds'} <= set(head.state_dict())


@pytest.mark.parametrize('name', CONFIGS)
@pytest.mark.parametrize('centre', [(200, 312), (168, 160), (211, 247)])
@torch.no_grad()
def test_object_is_at_the_same_place_in_image_map_anchors_and_regions(name, centre):
    """Within half a cell: with AlexNet's own padding, cell i would be centred on 16·i + 15."""
    cfg = shipped(name)
    with DefaultScope.overwrite_default_scope('mmdet'):
        backbone = MODELS.build(cfg.model.backbone).eval()
        extractor = MODELS.build(cfg.model.roi_head.bbox_roi_extractor)
        rpn = shipped(CONFIGS[0]).model.rpn_head
        anchors = TASK_UTILS.build(rpn.anchor_generator)
    for key, parameter in backbone.named_parameters():
        parameter.fill_(0 if key.endswith('bias') else 1 / parameter[0].numel())
    x, y = centre
    image = torch.zeros(1, 3, 480, 480)
    image[:, :, y - 4 : y + 5, x - 4 : x + 5] = 1
    (maps,) = backbone(image)
    response = maps[0].mean(0)
    response = response / response.sum()
    cells = torch.arange(float(len(response)))
    assert 16 * (response.sum(0) @ cells) == pytest.approx(x, abs=8)
    assert 16 * (response.sum(1) @ cells) == pytest.approx(y, abs=8)
    # an anchor of the cell with the largest response is centred on the object
    row, column = divmod(response.argmax().item(), len(response))
    boxes = anchors.grid_priors([response.shape], device='cpu')[0].unflatten(
        0, (*response.shape, -1)
    )
    for box in boxes[row, column]:
        assert ((box[0] + box[2]) / 2).item() == pytest.approx(x, abs=8.5)
        assert ((box[1] + box[3]) / 2).item() == pytest.approx(y, abs=8.5)
    # the response is in the middle of a region of 96×96 around the object: one bin is one cell
    region = torch.tensor([[0.0, x - 48, y - 48, x + 48, y + 48]])
    pooled = extractor((maps,), region)[0].mean(0)  # (6, 6)
    pooled = pooled / pooled.sum()
    bins = torch.arange(6.0)
    assert pooled.sum(0) @ bins == pytest.approx(2.5, abs=0.5)
    assert pooled.sum(1) @ bins == pytest.approx(2.5, abs=0.5)


def test_fast_rcnn_config_has_the_details_of_girshicks_code():
    cfg = shipped(CONFIGS[1])
    assert cfg.train_dataloader.dataset.train_on_difficult
    assert 'train_on_difficult' not in cfg.val_dataloader.dataset
    coder = cfg.model.roi_head.bbox_head.bbox_coder  # the head normalises the targets per class
    assert (coder.target_means, coder.target_stds) == ([0.0] * 4, [1.0] * 4)
    assert cfg.model.train_cfg.rcnn.assigner.neg_iou_thr == (0.1, 0.5)
    test = cfg.model.test_cfg.rcnn
    assert (test.score_thr, test.max_per_class, test.nms.iou_threshold) == (0, 100, 0.3)
    assert test.max_per_img >= 20 * test.max_per_class


@pytest.mark.parametrize('config', CONFIGS)
@pytest.mark.parametrize(('changes', 'trained'), [({}, False), ({'frozen_stages': -1}, True)])
def test_conv1_is_frozen_unless_the_config_says_otherwise(config, changes, trained):
    backbone = MODELS.build({**shipped(config).model.backbone, **changes})
    frozen = {name for name, p in backbone.named_parameters() if not p.requires_grad}
    assert frozen == (set() if trained else {'conv1.conv.weight', 'conv1.conv.bias'})
