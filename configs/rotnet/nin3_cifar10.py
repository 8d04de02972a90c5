r"""NIN with 3 blocks on CIFAR-10 (Table 1); otherwise as nin4_cifar10.py.

    python tools/train.py configs/rotnet/nin3_cifar10.py

Published, non-linear classifiers on blocks 1 to 3 (Table 1): 85.45, 88.26, 62.09 %.
Not run.
"""

_base_ = 'nin4_cifar10.py'

model = dict(backbone=dict(num_blocks=3))
