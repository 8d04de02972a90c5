"""NIN with 5 blocks on CIFAR-10 (Table 1); all else as with 4.

    python tools/train.py configs/rotnet/nin5_cifar10.py

1 GPU × 128 images = 128 images, 512 rotated copies; 100 epochs.

Published, Table 1, non-linear classifiers on blocks 1 to 5: 85.04, 89.76,
86.82, 74.50, 50.37 %. With this code: not run.
"""

_base_ = 'nin4_cifar10.py'

model = dict(backbone=dict(num_blocks=5))
