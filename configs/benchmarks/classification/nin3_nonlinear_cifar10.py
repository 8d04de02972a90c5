r"""Non-linear classifiers on blocks 1 to 3 of a NIN, CIFAR-10 (Table 1).

    tools/benchmarks/cifar10_eval.sh PRETRAINED.pth 1 \
        configs/benchmarks/classification/nin3_nonlinear_cifar10.py

Otherwise as nin4_nonlinear_cifar10.py.

Published (Table 1): 85.45, 88.26, 62.09 %. Not run.
"""

_base_ = 'nin4_nonlinear_cifar10.py'

model = dict(
    backbone=dict(num_blocks=3, out_indices=(0, 1, 2), frozen_stages=3),
    head=dict(
        probes=dict(
            _delete_=True,
            conv1=dict(type='mmrot.MLPProbe', in_features=96 * 16 * 16),
            conv2=dict(type='mmrot.MLPProbe', in_features=192 * 8 * 8),
            conv3=dict(type='mmrot.MLPProbe', in_features=192 * 8 * 8),
        )
    ),
)
tables = [dict(table='table1', row='RotNet, 3 blocks', random_row='random, 3 blocks')]
default_hooks = dict(result_table=dict(tables=tables))
