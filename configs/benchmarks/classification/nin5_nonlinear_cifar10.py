r"""Non-linear classifiers on blocks 1 to 5 of a NIN, CIFAR-10 (Table 1).

    tools/benchmarks/cifar10_eval.sh PRETRAINED.pth 1 \
        configs/benchmarks/classification/nin5_nonlinear_cifar10.py

Otherwise as nin4_nonlinear_cifar10.py.

Published (Table 1): 85.04, 89.76, 86.82, 74.50, 50.37 %. Not run.
"""

_base_ = 'nin4_nonlinear_cifar10.py'

model = dict(
    backbone=dict(num_blocks=5, out_indices=(0, 1, 2, 3, 4), frozen_stages=5),
    head=dict(probes=dict(conv5=dict(type='mmrot.MLPProbe', in_features=192 * 8 * 8))),
)
tables = [dict(table='table1', row='RotNet, 5 blocks', random_row='random, 5 blocks')]
default_hooks = dict(result_table=dict(tables=tables))
