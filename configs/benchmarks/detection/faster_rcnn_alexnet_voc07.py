r"""Faster R-CNN with AlexNet, VOC 2007: a more recent detector, which needs no proposals.

    tools/benchmarks/detection.sh PRETRAINED.pth

1 GPU × 2 images, 40,000 iterations of Girshick's (2015) recipe for Fast R-CNN, with a
jointly trained region proposal network; multi-scale training, single-scale testing,
11-point mAP. Batch norm is folded into the preceding layers and the weights are rescaled
before training. For the baselines, pass ``random`` (not rescaled) or ``random-rescaled``
instead of the checkpoint.

Layout: data/VOCdevkit/VOC2007.

Published for Fast R-CNN (Table 7): RotNet 54.4, random 43.4, random rescaled 45.6 % mAP.
Not run at this size; docs/measurements.md has a short run on other data.
"""

_base_ = [
    'mmdet::_base_/models/faster-rcnn_r50-caffe-c4.py',
    'mmdet::_base_/datasets/voc0712.py',
    'mmdet::_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53],
        std=[1.0, 1.0, 1.0],  # folded into conv1, as in the source's network
        bgr_to_rgb=True,
    ),
    # conv1 is frozen, as in Girshick (2015), Section 4.5
    backbone=dict(
        _delete_=True,
        type='mmrot.AlexNet',
        out_indices=(4,),
        frozen_stages=1,
        norm_cfg=None,
        padding=15,  # centres cell i on pixel 16·i, as anchors and RoI pooling assume
    ),
    rpn_head=dict(in_channels=256, feat_channels=256),
    roi_head=dict(
        shared_head=None,
        bbox_roi_extractor=dict(
            roi_layer=dict(type='RoIAlign', output_size=6, sampling_ratio=0, aligned=False),
            out_channels=256,
        ),
        # the two shared layers are fc6 and fc7
        bbox_head=dict(
            type='mmrot.DropoutBBoxHead',
            with_avg_pool=False,
            in_channels=256,
            roi_feat_size=6,
            fc_out_channels=4096,
            num_classes=20,
            loss_bbox=dict(_delete_=True, type='SmoothL1Loss', beta=1.0),
        ),
    ),
    train_cfg=dict(rcnn=dict(sampler=dict(num=64))),
    test_cfg=dict(rcnn=dict(nms=dict(iou_threshold=0.3))),
)
custom_imports = dict(imports=['mmrot.detection'], allow_failed_imports=False)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmdet.LoadAnnotations', with_bbox=True),
    dict(
        type='RandomChoiceResize',
        resize_type='mmdet.Resize',
        scales=[(2000, side) for side in (480, 576, 688, 864, 1200)],
        keep_ratio=True,
    ),
    dict(type='mmdet.RandomFlip', prob=0.5),
    dict(type='mmdet.PackDetInputs'),
]
train_dataloader = dict(
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        _delete_=True,
        type='mmrot.VOCDataset',
        data_root={{_base_.data_root}},
        ann_file='VOC2007/ImageSets/Main/trainval.txt',
        data_prefix=dict(sub_data_root='VOC2007/'),
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(dataset=dict(type='mmrot.VOCDataset'))
test_dataloader = val_dataloader
val_evaluator = test_evaluator = dict(type='mmrot.VOCMetric')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.001, momentum=0.9, weight_decay=0.0005),
    paramwise_cfg=dict(bias_lr_mult=2.0, bias_decay_mult=0.0),
)
param_scheduler = dict(type='MultiStepLR', by_epoch=False, milestones=[30000], gamma=0.1)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000, val_interval=10000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=2)
# the paper's detector is Fast R-CNN, hence separate rows
rows = dict(
    row='RotNet, Faster R-CNN',
    random_row='random, Faster R-CNN',
    random_rescaled_row='random rescaled, Faster R-CNN',
)
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=10000, save_best='pascal_voc/mAP'),
    load_backbone=dict(
        type='mmrot.LoadBackboneHook',
        checkpoint=None,
        absorb_bn=True,
        raw_pixels=True,
        rescale=80,
        extra_modules={
            'fc6.fc': 'roi_head.bbox_head.shared_fcs.0',
            'fc7.fc': 'roi_head.bbox_head.shared_fcs.1',
        },
    ),
    result_table=dict(
        type='mmrot.ResultTableHook',
        tables=[
            dict(table='table7', metrics={'detection': 'pascal_voc/mAP'}, scale=100, **rows),
            dict(table='table8', classes='pascal_voc/AP50/', scale=100, **rows),
        ],
    ),
    check_classes=dict(type='mmrot.CheckClassesHook', head='roi_head.bbox_head'),
)
custom_hooks = [dict(type='mmdet.CheckInvalidLossHook')]
log_processor = dict(by_epoch=False)
