r"""Non-linear classifiers on blocks 1 to 4 of a NIN, CIFAR-10 (Tables 1 and 3).

    tools/benchmarks/cifar10_eval.sh PRETRAINED.pth

1 GPU × 128 images, 100 epochs by the released code's schedule: lr 0.1, divided by 5 after
20, 40 and 45; the last value continues to epoch 100. Pass ``random`` instead of the checkpoint
for the baseline.

Published (Table 1): 85.07, 89.06, 86.21, 61.73 %. Not run at this size;
docs/reproduction.md has a reduced run.
"""

_base_ = [
    '../../_base_/models/nonlinear_nin.py',
    '../../_base_/datasets/cifar10_32.py',
    '../../_base_/schedules/cifar10_100e.py',
    '../../_base_/probe_runtime.py',
]

data_preprocessor = dict(type='mmpretrain.ClsDataPreprocessor')
train_dataloader = val_dataloader = test_dataloader = dict(batch_size=128)
val_evaluator = test_evaluator = dict(topk=(1,))
param_scheduler = dict(milestones=[20, 40, 45])
tables = [
    dict(table='table1', row='RotNet, 4 blocks', random_row='random, 4 blocks'),
    dict(
        table='table3',
        row='RotNet + non-linear',
        random_row='random init. + non-linear',
        columns=dict(accuracy='conv2'),
    ),
]
default_hooks = dict(result_table=dict(tables=tables))
