"""tools/train.py runs configs of mmdet and mmseg with mmrot's backbones."""

import numpy as np
import pytest
from helpers import logged

DETECTOR = """
_base_ = ['mmdet::_base_/models/retinanet_r50_fpn.py', 'mmdet::_base_/default_runtime.py']
model = dict(
    backbone=dict(_delete_=True, type='mmrot.NIN', num_blocks=3, width=12, out_indices=(0, 1, 2)),
    neck=dict(in_channels=[6, 12, 12], out_channels=16, start_level=0),
    bbox_head=dict(num_classes=1, in_channels=16, feat_channels=16, stacked_convs=1),
)
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(64, 64)),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CocoDataset',
        data_root='{root}',
        ann_file='ann.json',
        data_prefix=dict(img=''),
        metainfo=dict(classes=('box',)),
        pipeline=pipeline,
    ),
)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.001))
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1)
default_hooks = dict(logger=dict(interval=1))
"""
SEGMENTOR = """
_base_ = ['mmseg::_base_/models/fcn_r50-d8.py', 'mmseg::_base_/default_runtime.py']
norm_cfg = dict(type='BN')
model = dict(
    data_preprocessor=dict(size=(64, 64)),
    pretrained=None,
    backbone=dict(_delete_=True, type='mmrot.AlexNet', out_indices=(2, 4)),
    decode_head=dict(
        in_channels=256, in_index=1, channels=8, num_convs=1, num_classes=2, norm_cfg=norm_cfg
    ),
    auxiliary_head=None,
)
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='BaseSegDataset',
        data_root='{root}',
        data_prefix=dict(img_path='img', seg_map_path='ann'),
        metainfo=dict(classes=('background', 'box'), palette=[[0, 0, 0], [255, 0, 0]]),
        pipeline=pipeline,
    ),
)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.001))
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1)
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1),
    checkpoint=dict(type='CheckpointHook', by_epoch=True, interval=1),
)
"""


@pytest.mark.parametrize(
    ('host', 'config', 'loss'),
    [('mmdet', DETECTOR, 'loss_cls'), ('mmseg', SEGMENTOR, 'decode.loss_ce')],
)
def test_train_command_runs_configs_of_other_packages(host, config, loss, boxes, run_tool):
    pytest.importorskip(host)
    path = boxes / f'{host}.py'
    path.write_text(config.replace('{root}', str(boxes)))
    run_tool('train', path, '--work-dir', boxes / 'work')
    rows = [row for row in logged(boxes / 'work') if loss in row]
    assert len(rows) == 2
    assert all(np.isfinite(row[loss]) for row in rows)
    assert (boxes / 'work/epoch_1.pth').exists()
