"""Non-linear classifiers on blocks 1 to 4 of a NIN, CIFAR-10 (Tables 1 and 3).

    tools/benchmarks/cifar10_eval.sh PRETRAINED.pth

``random`` in place of the checkpoint is the control. 1 GPU × 128 images, 50
epochs by the released code's schedule: lr 0.1, divided by 5 after 20, 40 and 45.

Published: 85.07, 89.06, 86.21, 61.73 %. With this code: not run.
"""

_base_ = [
    '../../_base_/models/nonlinear_nin.py',
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
            dict(table='table1', row='RotNet, 4 blocks', random_row='random, 4 blocks'),
            dict(
                table='table3',
                row='RotNet + non-linear',
                random_row='random init. + non-linear',
                columns=dict(accuracy='conv2'),
            ),
        ],
    ),
]
train_dataloader = dict(batch_size=128)
val_dataloader = dict(batch_size=128)
test_dataloader = dict(batch_size=128)
param_scheduler = dict(milestones=[20, 40, 45])
train_cfg = dict(max_epochs=50)
default_hooks = dict(checkpoint=dict(save_best='best/top1'))
