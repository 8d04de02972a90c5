"""RotNet + conv with K labelled images per class, CIFAR-10 (figure 5b).

    tools/benchmarks/semi_supervised.sh PRETRAINED.pth

K is ``train_dataloader.dataset.num_per_class``; the command runs K = 20, 100,
400, 1000 and 5000. ``train_dataloader.dataset.seed`` chooses the images, None
takes the first ones. An epoch has 50,000 samples whatever K is; all else as in
``nin4_conv_cifar10.py``.

Published as curves only. With this code: not run.
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
custom_hooks = [
    dict(type='mmrot.LoadBackboneHook', checkpoint=None),
    dict(
        type='mmrot.ResultTableHook',
        tables=[
            dict(
                table='figure5b',
                row='semi-supervised',
                random_row='random init. + conv',
                columns=dict(num_per_class='conv2'),
            )
        ],
    ),
]
