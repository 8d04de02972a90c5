"""Convolutions on block 2 of a NIN, all trained, CIFAR-10 (Table 3).

    tools/benchmarks/cifar10_eval.sh PRETRAINED.pth 1 \\
        configs/benchmarks/classification/nin4_conv_finetuned_cifar10.py

All else as in ``nin4_conv_cifar10.py``.

Published: 92.17 %. With this code: not run.
"""

_base_ = 'nin4_conv_cifar10.py'

model = dict(backbone=dict(frozen_stages=-1))
custom_hooks = [
    dict(type='mmrot.LoadBackboneHook', checkpoint=None),
    dict(
        type='mmrot.ResultTableHook',
        tables=[
            dict(
                table='table3',
                row='RotNet + conv, fine-tuned',
                random_row='random init. + conv, all trained',
                columns=dict(accuracy='conv2'),
            )
        ],
    ),
]
