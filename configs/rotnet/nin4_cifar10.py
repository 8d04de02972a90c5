"""NIN with 4 blocks on CIFAR-10, by the paper's schedule (section 3.1).

    python tools/train.py configs/rotnet/nin4_cifar10.py

1 GPU × 128 images = 128 images, 512 rotated copies; 100 epochs.

Published, Table 1, non-linear classifiers on blocks 1 to 4: 85.07, 89.06,
86.21, 61.73 %. With this code: not run.

The other angle sets of Table 2: ``--cfg-options model.angles=0,180``,
``model.angles=90,270`` or
``model.angles=0,45,90,135,180,225,270,315``.
"""

_base_ = [
    '../_base_/models/rotnet_nin.py',
    '../_base_/datasets/cifar10_32.py',
    '../_base_/schedules/cifar10_100e.py',
    '../_base_/rotation_accuracy.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=128)
val_dataloader = dict(batch_size=128)
test_dataloader = dict(batch_size=128)
# a snapshot every 20 epochs, as figure 5a wants them
default_hooks = dict(
    checkpoint=dict(interval=20, max_keep_ckpts=-1, save_best='rotation/accuracy')
)
