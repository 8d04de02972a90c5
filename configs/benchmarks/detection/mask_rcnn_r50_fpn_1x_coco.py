"""Mask R-CNN FPN on ResNet-50, COCO, 1x schedule (model page).

    tools/benchmarks/detection.sh PRETRAINED.pth 8 \\
        configs/benchmarks/detection/mask_rcnn_r50_fpn_1x_coco.py

The protocol of He et al., Momentum Contrast, CVPR 2020, section 4.2: every layer
is trained, with batch norm over all GPUs, in FPN and in the heads too; shorter
sides from 640 to 800 in training and 800 in testing. ``random`` in place of the
checkpoint is the control. 8 GPUs × 2 images, 12 epochs. Layout: data/coco.

Published: RotNet 37.9 box, 34.2 mask AP. With this code: not run.
"""

_base_ = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'

norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    backbone=dict(frozen_stages=-1, norm_cfg=norm_cfg, norm_eval=False, init_cfg=None),
    neck=dict(norm_cfg=norm_cfg),
    roi_head=dict(
        # convolutions, since the other head has no place for batch norm
        bbox_head=dict(type='Shared4Conv1FCBBoxHead', conv_out_channels=256, norm_cfg=norm_cfg),
        mask_head=dict(norm_cfg=norm_cfg),
    ),
)
custom_hooks = [
    dict(type='mmrot.LoadBackboneHook', checkpoint=None),
    dict(
        type='mmrot.ResultTableHook',
        tables=[
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
        ],
    ),
    dict(type='mmrot.CheckClassesHook', head='roi_head.bbox_head'),
    dict(type='mmdet.CheckInvalidLossHook'),
]

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
