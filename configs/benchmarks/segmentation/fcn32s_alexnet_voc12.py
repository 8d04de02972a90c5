r"""FCN-32s with AlexNet, VOC 2012 (Table 7, Long et al. 2015).

    tools/benchmarks/segmentation.sh PRETRAINED.pth

Long et al.'s recipe for AlexNet: 1 GPU × 20 whole images without augmentation, learning
rate 0.001, about 175 epochs of the 1,464 training images. fc6 and fc7 become convolutions;
batch norm is absorbed and the weights are rescaled before training. Pass ``random`` or
``random-rescaled`` instead of the checkpoint for the baselines.

Layout: data/VOCdevkit/VOC2012.

Published (Table 7): RotNet 39.1, random 19.8, random rescaled 32.6 % mIoU. Not run.
"""

_base_ = [
    'mmseg::_base_/models/fcn_r50-d8.py',
    'mmseg::_base_/datasets/pascal_voc12.py',
    'mmseg::_base_/default_runtime.py',
    'mmseg::_base_/schedules/schedule_20k.py',
]

model = dict(
    pretrained=None,
    data_preprocessor=dict(
        std=[1.0, 1.0, 1.0],  # folded into conv1, as in the source's network
        # sides that are multiples of the stride align input and output
        size=(512, 512),
        test_cfg=dict(size_divisor=32),
    ),
    backbone=dict(
        _delete_=True,
        type='mmrot.AlexNet',
        out_indices=(7,),
        norm_cfg=None,
        convolutional=True,
        padding=96,
    ),
    decode_head=dict(
        in_channels=4096,
        in_index=0,
        channels=4096,
        num_convs=0,
        concat_input=False,
        dropout_ratio=0.5,
        num_classes=21,
        norm_cfg=None,
        loss_decode=dict(avg_non_ignore=True),
        # scores start at zero, as in the source
        init_cfg=dict(type='Constant', val=0, override=dict(name='conv_seg')),
    ),
    auxiliary_head=None,
)
custom_imports = dict(imports=['mmrot.segmentation'], allow_failed_imports=False)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmrot.LoadMask'),
    dict(type='mmseg.PackSegInputs'),
]
test_pipeline = train_pipeline
train_dataloader = dict(batch_size=20, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.001, momentum=0.9, weight_decay=0.0005),
    paramwise_cfg=dict(bias_lr_mult=2.0, bias_decay_mult=0.0),
)
param_scheduler = []
train_cfg = dict(max_iters=12800, val_interval=3200)
auto_scale_lr = dict(enable=False, base_batch_size=20)
tables = [dict(table='table7', metrics={'segmentation': 'mIoU'})]
default_hooks = dict(
    checkpoint=dict(interval=3200),
    load_backbone=dict(
        type='mmrot.LoadBackboneHook',
        checkpoint=None,
        absorb_bn=True,
        raw_pixels=True,
        rescale=80,
    ),
    result_table=dict(type='mmrot.ResultTableHook', tables=tables),
    check_classes=dict(type='mmrot.CheckClassesHook', head='decode_head'),
    check_masks=dict(type='mmrot.CheckMasksHook'),
)
