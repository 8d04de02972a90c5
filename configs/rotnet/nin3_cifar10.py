"""NIN with 3 blocks on CIFAR-10 (Table 1); all else as with 4.

    python tools/train.py configs/rotnet/nin3_cifar10.py

1 GPU × 128 images = 128 images, 512 rotated copies; 100 epochs.

Published, Table 1, non-linear classifiers on blocks 1 to 3: 85.45, 88.26,
62.09 %. With this code: not run.
"""

_base_ = 'nin4_cifar10.py'

model = dict(backbone=dict(num_blocks=3))
