"""FCN on ResNet-50-d8, Cityscapes (named on the model page, without a number).

    tools/benchmarks/segmentation.sh PRETRAINED.pth 4 \
        configs/benchmarks/segmentation/fcn_r50_d8_4xb2_40k_cityscapes.py

mmseg's schedule: 4 GPUs × 2 crops of 769×769, 40,000 iterations. ``random`` in
place of the checkpoint is the control. Layout: data/cityscapes, with the masks
that mmseg's dataset converter makes (*_labelTrainIds.png).

Published: nothing. With this code: not run.
"""

_base_ = 'mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-769x769.py'

model = dict(pretrained=None, backbone=dict(type='ResNet'))
custom_imports = dict(imports=['mmrot.segmentation'], allow_failed_imports=False)
custom_hooks = [
    dict(type='mmrot.LoadBackboneHook', checkpoint=None),
    dict(
        type='mmrot.ResultTableHook',
        tables=[
            dict(
                table='resnet50_cityscapes',
                metrics={'mIoU': 'mIoU'},
            )
        ],
    ),
    dict(type='mmrot.CheckClassesHook', head='decode_head'),
    dict(type='mmrot.CheckMasksHook'),
]

# mmseg's pipelines, with masks that must be of their images
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmrot.LoadMask'),
    dict(
        type='RandomResize',
        scale=(2049, 1025),
        resize_type='mmseg.Resize',
        ratio_range=(0.5, 2.0),
        keep_ratio=True,
    ),
    dict(type='mmseg.RandomCrop', crop_size=(769, 769), cat_max_ratio=0.75),
    dict(type='mmseg.RandomFlip', prob=0.5),
    dict(type='mmseg.PhotoMetricDistortion'),
    dict(type='mmseg.PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmseg.Resize', scale=(2049, 1025), keep_ratio=True),
    dict(type='mmrot.LoadMask'),  # it stays at the size of the image
    dict(type='mmseg.PackSegInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
