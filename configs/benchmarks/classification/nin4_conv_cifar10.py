r"""Third NIN block on block 2 of a NIN, CIFAR-10 (Table 3, "RotNet + conv").

    tools/benchmarks/cifar10_eval.sh PRETRAINED.pth 1 \
        configs/benchmarks/classification/nin4_conv_cifar10.py

1 GPU × 128 images, 100 epochs by the released code's schedule: lr 0.1, divided by 5 after
35, 70 and 85. Pass ``random`` instead of the checkpoint for "random init. + conv".

Published (Table 3): RotNet 91.16, random 72.50 %. Not run at this size;
docs/reproduction.md has a reduced run.
"""

_base_ = [
    '../../_base_/models/conv_nin.py',
    '../../_base_/datasets/cifar10_32.py',
    '../../_base_/schedules/cifar10_100e.py',
    '../../_base_/probe_runtime.py',
]

data_preprocessor = dict(type='mmpretrain.ClsDataPreprocessor')
train_dataloader = val_dataloader = test_dataloader = dict(batch_size=128)
val_evaluator = test_evaluator = dict(topk=(1,))
param_scheduler = dict(milestones=[35, 70, 85])
tables = [
    dict(
        table='table3',
        row='RotNet + conv',
        random_row='random init. + conv',
        columns=dict(accuracy='conv2'),
    )
]
default_hooks = dict(result_table=dict(tables=tables))
