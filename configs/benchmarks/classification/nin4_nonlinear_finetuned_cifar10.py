"""A non-linear classifier on block 2 of a NIN, both trained, CIFAR-10 (Table 3).

    tools/benchmarks/cifar10_eval.sh PRETRAINED.pth 1 \\
        configs/benchmarks/classification/nin4_nonlinear_finetuned_cifar10.py

All else as in ``nin4_nonlinear_cifar10.py``.

Published: 91.73 %. With this code: not run.
"""

_base_ = 'nin4_nonlinear_cifar10.py'

model = dict(
    backbone=dict(out_indices=(1,), frozen_stages=-1),
    head=dict(
        probes=dict(_delete_=True, conv2=dict(type='mmrot.MLPProbe', in_features=192 * 8 * 8))
    ),
)
custom_hooks = [
    dict(type='mmrot.LoadBackboneHook', checkpoint=None),
    dict(
        type='mmrot.ResultTableHook',
        tables=[
            dict(
                table='table3',
                row='RotNet + non-linear, fine-tuned',
                random_row='random init. + non-linear, all trained',
                columns=dict(accuracy='conv2'),
            )
        ],
    ),
]
