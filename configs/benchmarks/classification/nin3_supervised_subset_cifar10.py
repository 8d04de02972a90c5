"""The supervised NIN with K labelled images per class, CIFAR-10 (figure 5b).

    tools/benchmarks/semi_supervised.sh random 1 \\
        configs/benchmarks/classification/nin3_supervised_subset_cifar10.py

What ``nin4_semi_supervised_cifar10.py`` is compared with: the same network from
random initialisation, all trained on the same images.

Published as curves only. With this code: not run.
"""

_base_ = 'nin4_semi_supervised_cifar10.py'

model = dict(backbone=dict(frozen_stages=-1))
param_scheduler = dict(milestones=[30, 60, 80])
custom_hooks = [
    dict(type='mmrot.LoadBackboneHook', checkpoint=None),
    dict(
        type='mmrot.ResultTableHook',
        tables=[
            dict(
                table='figure5b',
                row='semi-supervised, fine-tuned',
                random_row='supervised',
                columns=dict(num_per_class='conv2'),
            )
        ],
    ),
]
