r"""Supervised NIN with K labelled images per class, CIFAR-10 (Figure 5b).

    tools/benchmarks/semi_supervised.sh random 1 \
        configs/benchmarks/classification/nin3_supervised_subset_cifar10.py

The supervised baseline for nin4_semi_supervised_cifar10.py: the same network, trained from scratch
on the same images for 200 epochs, as in nin3_supervised_cifar10.py.

Published as curves only. Not run at this size; docs/reproduction.md has a reduced run.
"""

_base_ = 'nin4_semi_supervised_cifar10.py'

model = dict(
    backbone=dict(frozen_stages=-1),
    # PyTorch's initialisation of the whole network, as in the released code
    head=dict(probes=dict(conv2=dict(init_cfg=None))),
)
param_scheduler = dict(milestones=[60, 120, 160])
train_cfg = dict(max_epochs=200)
tables = [
    dict(
        table='figure5b',
        row='semi-supervised, fine-tuned',
        random_row='supervised',
        columns=dict(num_per_class='conv2'),
    )
]
default_hooks = dict(result_table=dict(tables=tables))
