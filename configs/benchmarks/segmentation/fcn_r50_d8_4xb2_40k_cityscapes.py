r"""FCN with ResNet-50-d8, Cityscapes (mentioned on the model page, without a number).

    tools/benchmarks/segmentation.sh PRETRAINED.pth 4 \
        configs/benchmarks/segmentation/fcn_r50_d8_4xb2_40k_cityscapes.py

mmseg's schedule: 4 GPUs × 2 crops of 769×769, 40,000 iterations. Pass ``random`` instead
of the checkpoint for the baseline.

Layout: data/cityscapes, with the masks *_labelTrainIds.png from mmseg's dataset converter.

Not run.
"""

_base_ = 'mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-769x769.py'

model = dict(pretrained=None, backbone=dict(type='ResNet'))
custom_imports = dict(imports=['mmrot.segmentation'], allow_failed_imports=False)
default_hooks = dict(
    load_backbone=dict(type='mmrot.LoadBackboneHook', checkpoint=None),
    result_table=dict(
        type='mmrot.ResultTableHook',
        tables=[dict(table='resnet50_cityscapes', metrics=dict(mIoU='mIoU'))],
    ),
    check_classes=dict(type='mmrot.CheckClassesHook', head='decode_head'),
    check_masks=dict(type='mmrot.CheckMasksHook'),
)

# mmseg's pipelines, with masks checked against their images
train_pipeline, test_pipeline = (
    [dict(type='mmrot.LoadMask') if step.type == 'LoadAnnotations' else step for step in steps]
    for steps in (_base_.train_pipeline, _base_.test_pipeline)
)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
