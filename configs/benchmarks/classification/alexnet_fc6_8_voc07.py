r"""VOC 2007 classification with AlexNet, fc6 to fc8 trained (Table 7).

    tools/benchmarks/voc07_classification.sh PRETRAINED.pth

The protocol of Krähenbühl et al. (2016), as in their code: 1 GPU × 16 images, 80,000
iterations, the learning rate halved every 10,000; random crops of images scaled by 0.5 to 2,
one in training, the mean of 10 in testing; area under the precision-recall curve, beside the
11-point mAP. docs/experiments.md lists the differences. conv1 to conv5 are frozen; batch norm
is absorbed and the weights are rescaled before training. Pass ``random`` or
``random-rescaled`` instead of the checkpoint for the baselines.

Layout: data/VOCdevkit/VOC2007.

Published (Table 7): RotNet 70.87, random rescaled 39.2 % mAP. Not run.
"""

_base_ = '../../_base_/default_runtime.py'

data_root = 'data/VOCdevkit/VOC2007'
model = dict(
    type='mmrot.TenCropClassifier',
    crop_size=224,
    backbone=dict(type='mmrot.AlexNet', out_indices=(7,), frozen_stages=6, norm_cfg=None),
    head=dict(
        type='mmrot.IgnoreDifficultHead',
        num_classes=20,
        in_channels=4096,
        loss=dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True),
        init_cfg=dict(type='Normal', layer='Linear', std=0.01, bias=0.1),
    ),
)
data_preprocessor = dict(
    type='mmpretrain.ClsDataPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[1.0, 1.0, 1.0],  # folded into conv1, as in the source's network
    to_rgb=True,
)

random_crop = [
    # the longer sides of VOC's images are 500
    dict(
        type='mmcv.RandomResize',
        scale=(500, 500),
        ratio_range=(0.5, 2.0),
        resize_type='mmcv.Resize',
        keep_ratio=True,
    ),
    dict(
        type='mmpretrain.RandomCrop',
        crop_size=224,
        pad_if_needed=True,
        pad_val=(104, 116, 124),  # the mean, BGR
    ),
    dict(type='mmpretrain.RandomFlip', prob=0.5, direction='horizontal'),
]
load = dict(type='mmrot.LoadImage')
pack = dict(
    type='mmpretrain.PackInputs',
    meta_keys=('sample_idx', 'img_path', 'ori_shape', 'img_shape', 'gt_label_difficult'),
)
train_pipeline = [load, *random_crop, pack]
test_pipeline = [load, dict(type='mmrot.StackedCrops', transforms=random_crop, num_crops=10), pack]
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    sampler=dict(type='mmengine.InfiniteSampler', shuffle=True),
    dataset=dict(
        type='mmpretrain.VOC',
        data_root=data_root,
        split='trainval',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmpretrain.VOC',
        data_root=data_root,
        split='test',
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = test_evaluator = dict(type='mmrot.VOC07AveragePrecision')

optim_wrapper = dict(
    type='mmengine.OptimWrapper',
    optimizer=dict(type='SGD', lr=0.001, momentum=0.9, weight_decay=1e-6),
    paramwise_cfg=dict(bias_lr_mult=2.0),
    clip_grad=dict(max_norm=10),
)
param_scheduler = dict(type='mmengine.StepLR', by_epoch=False, step_size=10000, gamma=0.5)
train_cfg = dict(type='mmengine.IterBasedTrainLoop', max_iters=80000, val_interval=20000)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(enable=False, base_batch_size=16)
tables = [dict(table='table7', metrics={'classification, fc6-8': 'voc07/mAP_area'})]
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=20000),
    load_backbone=dict(
        type='mmrot.LoadBackboneHook',
        checkpoint=None,
        absorb_bn=True,
        raw_pixels=True,
        rescale=80,
    ),
    result_table=dict(type='mmrot.ResultTableHook', tables=tables),
)
log_processor = dict(by_epoch=False)
