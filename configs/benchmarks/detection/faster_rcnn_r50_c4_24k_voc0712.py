r"""Faster R-CNN C4 with ResNet-50, trained on VOC 2007 and 2012 (model page).

    tools/benchmarks/detection.sh PRETRAINED.pth 8 \
        configs/benchmarks/detection/faster_rcnn_r50_c4_24k_voc0712.py

The protocol of He et al., Momentum Contrast, CVPR 2020, Section 4.2: 8 GPUs × 2 images,
24,000 iterations; all layers are trained, with synchronised batch norm and an extra one
after layer4 in the head; multi-scale training, single-scale testing. Pass ``random``
instead of the checkpoint for the baseline.

Layout: data/VOCdevkit/{VOC2007,VOC2012}.

Published (model page): RotNet 79.67 % AP50. Not run.
"""

_base_ = [
    'mmdet::_base_/models/faster-rcnn_r50-caffe-c4.py',
    'mmdet::_base_/datasets/voc0712.py',
    'mmdet::_base_/default_runtime.py',
]

norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    ),
    backbone=dict(
        frozen_stages=-1, norm_cfg=norm_cfg, norm_eval=False, style='pytorch', init_cfg=None
    ),
    roi_head=dict(
        shared_head=dict(
            type='mmrot.ResLayerExtraNorm',
            norm_cfg=norm_cfg,
            norm_eval=False,
            style='pytorch',
            init_cfg=None,
        ),
        bbox_head=dict(num_classes=20),
    ),
    train_cfg=dict(rpn=dict(allowed_border=0)),  # anchors that cross the border do not train
)
custom_imports = dict(imports=['mmrot.detection'], allow_failed_imports=False)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmdet.LoadAnnotations', with_bbox=True),
    dict(
        type='RandomChoiceResize',
        resize_type='mmdet.Resize',
        scales=[(1333, side) for side in range(480, 801, 32)],
        keep_ratio=True,
    ),
    dict(type='mmdet.RandomFlip', prob=0.5),
    dict(type='mmdet.PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmdet.Resize', scale=(1333, 800), keep_ratio=True),
    dict(type='mmdet.LoadAnnotations', with_bbox=True),
    dict(
        type='mmdet.PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
train_dataloader = dict(
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        _delete_=True,
        type='mmdet.ConcatDataset',
        ignore_keys=['dataset_type'],  # VOC2007 in one, VOC2012 in the other
        datasets=[
            dict(
                type='mmrot.VOCDataset',
                data_root={{_base_.data_root}},
                ann_file=f'VOC{year}/ImageSets/Main/trainval.txt',
                data_prefix=dict(sub_data_root=f'VOC{year}/'),
                filter_cfg=dict(filter_empty_gt=True),
                pipeline=train_pipeline,
            )
            for year in (2007, 2012)
        ],
    ),
)
val_dataloader = dict(dataset=dict(type='mmrot.VOCDataset', pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = test_evaluator = dict(type='mmrot.VOCMetric')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=0.0001),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=100),
    dict(type='MultiStepLR', by_epoch=False, milestones=[18000, 22000], gamma=0.1),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=24000, val_interval=24000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=16)
tables = [dict(table='resnet50_voc0712', metrics={'AP50': 'pascal_voc/AP50'}, scale=100)]
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=6000),
    load_backbone=dict(
        type='mmrot.LoadBackboneHook',
        checkpoint=None,
        extra_modules={'layer4': 'roi_head.shared_head.layer4'},
    ),
    result_table=dict(type='mmrot.ResultTableHook', tables=tables),
    check_classes=dict(type='mmrot.CheckClassesHook', head='roi_head.bbox_head'),
)
custom_hooks = [dict(type='mmdet.CheckInvalidLossHook')]
log_processor = dict(by_epoch=False)
