"""Convolutions on block 2 of a NIN, CIFAR-10 (Table 3, "RotNet + conv").

    tools/benchmarks/cifar10_eval.sh PRETRAINED.pth 1 \\
        configs/benchmarks/classification/nin4_conv_cifar10.py

``random`` in place of the checkpoint is "Random Init. + conv". 1 GPU × 128
images, 100 epochs by the released code's schedule: lr 0.1, divided by 5 after
35, 70 and 85.

Published: RotNet 91.16, random 72.50 %. With this code: not run.
"""

_base_ = [
    '../../_base_/models/conv_nin.py',
    '../../_base_/datasets/cifar10_32.py',
    '../../_base_/schedules/cifar10_100e.py',
    '../../_base_/per_layer_accuracy.py',
    '../../_base_/default_runtime.py',
]

data_preprocessor = dict(type='mmpretrain.ClsDataPreprocessor')
custom_hooks = [
    dict(type='mmrot.LoadBackboneHook', checkpoint=None),
    dict(
        type='mmrot.ResultTableHook',
        tables=[
            dict(
                table='table3',
                row='RotNet + conv',
                random_row='random init. + conv',
                columns=dict(accuracy='conv2'),
            )
        ],
    ),
]
train_dataloader = dict(batch_size=128)
val_dataloader = dict(batch_size=128)
test_dataloader = dict(batch_size=128)
param_scheduler = dict(milestones=[35, 70, 85])
default_hooks = dict(checkpoint=dict(save_best='best/top1'))
