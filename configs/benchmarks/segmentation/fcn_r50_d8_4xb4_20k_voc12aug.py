r"""FCN with ResNet-50-d8, VOC 2012 with the additional masks (model page).

    tools/benchmarks/segmentation.sh PRETRAINED.pth 4 \
        configs/benchmarks/segmentation/fcn_r50_d8_4xb4_20k_voc12aug.py

mmseg's schedule: 4 GPUs × 4 crops of 512×512, 20,000 iterations. Pass ``random`` instead
of the checkpoint for the baseline.

Layout: data/VOCdevkit/VOC2012 with SegmentationClassAug and
ImageSets/Segmentation/aug.txt.

Published (model page): RotNet 64.31 % mIoU. Not run.
"""

_base_ = 'mmseg::fcn/fcn_r50-d8_4xb4-20k_voc12aug-512x512.py'

model = dict(pretrained=None, backbone=dict(type='ResNet'))
custom_imports = dict(imports=['mmrot.segmentation'], allow_failed_imports=False)
default_hooks = dict(
    load_backbone=dict(type='mmrot.LoadBackboneHook', checkpoint=None),
    result_table=dict(
        type='mmrot.ResultTableHook',
        tables=[dict(table='resnet50_voc12aug', metrics=dict(mIoU='mIoU'))],
    ),
    check_classes=dict(type='mmrot.CheckClassesHook', head='decode_head'),
    check_masks=dict(type='mmrot.CheckMasksHook'),
)

# mmseg's pipelines, with masks checked against their images
train_pipeline, test_pipeline = (
    [dict(type='mmrot.LoadMask') if step.type == 'LoadAnnotations' else step for step in steps]
    for steps in (_base_.train_pipeline, _base_.test_pipeline)
)
train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(dataset, type='mmseg.PascalVOCDataset', pipeline=train_pipeline)
            for dataset in (_base_.dataset_train, _base_.dataset_aug)
        ]
    )
)
val_dataloader = test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
