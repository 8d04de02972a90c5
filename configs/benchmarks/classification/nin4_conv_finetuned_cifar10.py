r"""Third NIN block on block 2 of a NIN, both trained, CIFAR-10 (Table 3).

    tools/benchmarks/cifar10_eval.sh PRETRAINED.pth 1 \
        configs/benchmarks/classification/nin4_conv_finetuned_cifar10.py

Otherwise as nin4_conv_cifar10.py.

Published (Table 3): 92.17 %. Not run at this size; docs/reproduction.md has a reduced run.
"""

_base_ = 'nin4_conv_cifar10.py'

model = dict(backbone=dict(frozen_stages=-1))
tables = [
    dict(
        table='table3',
        row='RotNet + conv, fine-tuned',
        random_row='random init. + conv, all trained',
        columns=dict(accuracy='conv2'),
    )
]
default_hooks = dict(result_table=dict(tables=tables))
