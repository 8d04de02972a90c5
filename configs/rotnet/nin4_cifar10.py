r"""NIN with 4 blocks on CIFAR-10 with the paper's schedule (Section 3.1): 100 epochs.

    python tools/train.py configs/rotnet/nin4_cifar10.py

1 GPU × 128 images = 128 images, 512 rotated copies. Table 2 varies the angles: add
``--cfg-options model.angles=0,180``, ``model.angles=90,270`` or
``model.angles=0,45,90,135,180,225,270,315``. With the last, all copies are cropped to the central
square that has no empty pixels at any angle; ``model.crop_upright=False`` crops only the diagonal
copies, which is the literal reading of the paper.

Published, non-linear classifiers on blocks 1 to 4 (Table 1): 85.07, 89.06, 86.21,
61.73 %. Not run at this size; docs/reproduction.md has a reduced run.
"""

_base_ = [
    '../_base_/models/rotnet_nin.py',
    '../_base_/datasets/cifar10_32.py',
    '../_base_/schedules/cifar10_100e.py',
    '../_base_/rotation_accuracy.py',
    '../_base_/default_runtime.py',
]

train_dataloader = val_dataloader = test_dataloader = dict(batch_size=128)
# Figure 5a shows a snapshot every 20 epochs
default_hooks = dict(
    checkpoint=dict(interval=20, max_keep_ckpts=-1, save_best='rotation/accuracy')
)
