"""The supervised NIN of three blocks, CIFAR-10 (Table 3).

    tools/benchmarks/cifar10_eval.sh random 1 \\
        configs/benchmarks/classification/nin3_supervised_cifar10.py

The network of RotNet + conv from random initialisation, all trained. 1 GPU ×
128 images, 100 epochs: the paper's schedule for NIN.

Published: 92.80 %. With this code: not run.
"""

_base_ = 'nin4_conv_cifar10.py'

model = dict(backbone=dict(frozen_stages=-1))
param_scheduler = dict(milestones=[30, 60, 80])
custom_hooks = [
    dict(type='mmrot.LoadBackboneHook', checkpoint=None),
    dict(
        type='mmrot.ResultTableHook',
        tables=[
            dict(
                table='table3',
                row='RotNet + conv, fine-tuned',
                random_row='supervised NIN',
                columns=dict(accuracy='conv2'),
            )
        ],
    ),
]
