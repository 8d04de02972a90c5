r"""RotNet + conv with K labelled images per class, CIFAR-10 (Figure 5b).

    tools/benchmarks/semi_supervised.sh PRETRAINED.pth

Runs K = 20, 100, 400, 1000 and 5000; K is ``train_dataloader.dataset.num_per_class``.
``train_dataloader.dataset.seed`` draws the images at random; None uses the first ones.
Every epoch has 50,000 samples. Otherwise as nin4_conv_cifar10.py.

Published as curves only. Not run at this size; docs/reproduction.md has a reduced run.
"""

_base_ = 'nin4_conv_cifar10.py'

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmrot.PerClassSubset',
        num_per_class=20,
        epoch_length=50000,
        dataset={{_base_.train_dataloader.dataset}},
    )
)
tables = [
    dict(
        table='figure5b',
        row='semi-supervised',
        random_row='random init. + conv',
        columns=dict(num_per_class='conv2'),
    )
]
default_hooks = dict(result_table=dict(tables=tables))
