r"""Non-linear classifier on block 2 of a NIN, both trained, CIFAR-10 (Table 3).

    tools/benchmarks/cifar10_eval.sh PRETRAINED.pth 1 \
        configs/benchmarks/classification/nin4_nonlinear_finetuned_cifar10.py

Otherwise as nin4_nonlinear_cifar10.py.

Published (Table 3): 91.73 %. Not run at this size; docs/reproduction.md has a reduced run.
"""

_base_ = 'nin4_nonlinear_cifar10.py'

model = dict(
    backbone=dict(out_indices=(1,), frozen_stages=-1),
    head=dict(
        probes=dict(_delete_=True, conv2=dict(type='mmrot.MLPProbe', in_features=192 * 8 * 8))
    ),
)
tables = [
    dict(
        table='table3',
        row='RotNet + non-linear, fine-tuned',
        random_row='random init. + non-linear, all trained',
        columns=dict(accuracy='conv2'),
    )
]
default_hooks = dict(result_table=dict(tables=tables))
