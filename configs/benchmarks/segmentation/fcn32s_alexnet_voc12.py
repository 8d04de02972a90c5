r"""FCN-32s with AlexNet, VOC 2012 (Table 7, Long et al. 2015).

    tools/benchmarks/segmentation.sh PRETRAINED.pth

Long et al.'s code for AlexNet: 100,000 updates at lr 1e-4, each with gradients accumulated
over 20 whole images of SBD's 8,498 training images, without augmentation. fc6 and fc7 become
convolutions, with dropout; batch norm is folded into the preceding layers and the weights are
rescaled before training. Tested on the 736 images of seg11valid, as in the source, and on VOC
2012's val, of which SBD's training images contain some. For the baselines, pass ``random``
(not rescaled) or ``random-rescaled`` instead of the checkpoint.

Layout: data/VOCdevkit/VOC2012, to which ``mmrot sbd`` adds masks and lists.

Published (Table 7): RotNet 39.1, random 19.8, random rescaled 32.6 % mIoU. Not run at
this size; docs/measurements.md has a short run on other data.
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
        size_divisor=32,
        test_cfg=dict(size_divisor=32),
    ),
    backbone=dict(
        _delete_=True,
        type='mmrot.AlexNet',
        out_indices=(7,),
        norm_cfg=None,
        convolutional=True,
        padding=96,
        dropout=0.5,
    ),
    decode_head=dict(
        in_channels=4096,
        in_index=0,
        channels=4096,
        num_convs=0,
        concat_input=False,
        dropout_ratio=0.0,  # that of mmseg drops whole channels, and only after fc7
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
lists = 'ImageSets/Segmentation'
train_dataloader = dict(
    batch_size=1,
    dataset=dict(
        data_prefix=dict(seg_map_path='SegmentationClassSBD'),
        ann_file=f'{lists}/sbd_train.txt',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(dataset=dict(ann_file=f'{lists}/fcn_val.txt', pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='mmrot.SubsetIoUMetric',
    subsets=dict(
        seg11valid=f'{_base_.data_root}/{lists}/seg11valid.txt',
        val=f'{_base_.data_root}/{lists}/val.txt',
    ),
)
test_evaluator = val_evaluator
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    accumulative_counts=20,
    optimizer=dict(type='SGD', lr=1e-4, momentum=0.9, weight_decay=0.0005),
    paramwise_cfg=dict(bias_lr_mult=2.0, bias_decay_mult=0.0),
)
param_scheduler = []
train_cfg = dict(max_iters=2000000, val_interval=200000)  # 100,000 updates
auto_scale_lr = dict(enable=False, base_batch_size=1)
tables = [dict(table='table7', metrics={'segmentation': 'seg11valid/mIoU'})]
default_hooks = dict(
    checkpoint=dict(interval=100000),
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
