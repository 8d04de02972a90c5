r"""NIN with 4 blocks on CIFAR-10 with the schedule of the released code: 200 epochs.

    python tools/train.py configs/rotnet/nin4_200e_cifar10.py

1 GPU × 128 images = 128 images, 512 rotated copies; lr 0.1, divided by 5 after 60, 120 and
160 epochs. Not run.
"""

_base_ = 'nin4_cifar10.py'

param_scheduler = dict(milestones=[60, 120, 160])
train_cfg = dict(max_epochs=200)
