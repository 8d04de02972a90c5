"""FCN on ResNet-50-d8, VOC 2012 with the additional masks (model page).

    tools/benchmarks/segmentation.sh PRETRAINED.pth 4 \
        configs/benchmarks/segmentation/fcn_r50_d8_4xb4_20k_voc12aug.py

mmseg's schedule: 4 GPUs × 4 crops of 512×512, 20,000 iterations. ``random`` in
place of the checkpoint is the control. Layout: data/VOCdevkit/VOC2012, with
SegmentationClassAug and ImageSets/Segmentation/aug.txt.

Published: RotNet 64.31 % mIoU. With this code: not run.
"""

_base_ = 'mmseg::fcn/fcn_r50-d8_4xb4-20k_voc12aug-512x512.py'

model = dict(pretrained=None, backbone=dict(type='ResNet'))
custom_imports = dict(imports=['mmrot.segmentation'], allow_failed_imports=False)
custom_hooks = [
    dict(type='mmrot.LoadBackboneHook', checkpoint=None),
    dict(
        type='mmrot.ResultTableHook',
        tables=[
            dict(
                table='resnet50_voc12aug',
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
        scale=(2048, 512),
        resize_type='mmseg.Resize',
        ratio_range=(0.5, 2.0),
        keep_ratio=True,
    ),
    dict(type='mmseg.RandomCrop', crop_size=(512, 512), cat_max_ratio=0.75),
    dict(type='mmseg.RandomFlip', prob=0.5),
    dict(type='mmseg.PhotoMetricDistortion'),
    dict(type='Pad', size=(512, 512)),
    dict(type='mmseg.PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmseg.Resize', scale=(2048, 512), keep_ratio=True),
    dict(type='mmrot.LoadMask'),  # it stays at the size of the image
    dict(type='mmseg.PackSegInputs'),
]
train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(
                type='mmseg.PascalVOCDataset',
                data_root={{_base_.data_root}},
                data_prefix=dict(img_path='JPEGImages', seg_map_path=masks),
                ann_file=f'ImageSets/Segmentation/{names}.txt',
                pipeline=train_pipeline,
            )
            for names, masks in (('train', 'SegmentationClass'), ('aug', 'SegmentationClassAug'))
        ]
    )
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
