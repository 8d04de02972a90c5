r"""Mask R-CNN FPN with ResNet-50, COCO, 1x schedule (model page).

    tools/benchmarks/detection.sh PRETRAINED.pth 8 \
        configs/benchmarks/detection/mask_rcnn_r50_fpn_1x_coco.py

The protocol of He et al., Momentum Contrast, CVPR 2020, Section 4.2: 8 GPUs × 2 images, 12
epochs; all layers are trained, with synchronised batch norm in backbone, FPN and heads;
warm-up for 1,000 iterations; shorter sides of 640 to 800 pixels in training, 800 in
testing. Pass ``random`` instead of the checkpoint for the baseline.

Layout: data/coco.

Published (model page): RotNet 37.9 box AP, 34.2 mask AP. Not run.
"""

_base_ = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'

norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    backbone=dict(frozen_stages=-1, norm_cfg=norm_cfg, norm_eval=False, init_cfg=None),
    neck=dict(norm_cfg=norm_cfg),
    roi_head=dict(
        # a convolutional head, since the default one has no batch norm
        bbox_head=dict(type='Shared4Conv1FCBBoxHead', conv_out_channels=256, norm_cfg=norm_cfg),
        mask_head=dict(norm_cfg=norm_cfg),
    ),
)
tables = [
    dict(
        table='resnet50_coco',
        metrics={
            'box mAP': 'coco/bbox_mAP',
            'box AP50': 'coco/bbox_mAP_50',
            'box AP75': 'coco/bbox_mAP_75',
            'mask mAP': 'coco/segm_mAP',
            'mask AP50': 'coco/segm_mAP_50',
            'mask AP75': 'coco/segm_mAP_75',
        },
        scale=100,
    )
]
default_hooks = dict(
    load_backbone=dict(type='mmrot.LoadBackboneHook', checkpoint=None),
    result_table=dict(type='mmrot.ResultTableHook', tables=tables),
    check_classes=dict(type='mmrot.CheckClassesHook', head='roi_head.bbox_head'),
)
custom_hooks = [dict(type='mmdet.CheckInvalidLossHook')]

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmdet.LoadAnnotations', with_bbox=True, with_mask=True),
    dict(
        type='RandomChoiceResize',
        resize_type='mmdet.Resize',
        scales=[(1333, side) for side in range(640, 801, 32)],
        keep_ratio=True,
    ),
    dict(type='mmdet.RandomFlip', prob=0.5),
    dict(type='mmdet.PackDetInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
# the schedule of mmdet, with a warm-up of 1,000 iterations instead of 500
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(type='MultiStepLR', begin=0, end=12, by_epoch=True, milestones=[8, 11], gamma=0.1),
]
