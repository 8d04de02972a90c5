r"""NIN with 5 blocks on CIFAR-10 (Table 1); otherwise as nin4_cifar10.py.

    python tools/train.py configs/rotnet/nin5_cifar10.py

Published, non-linear classifiers on blocks 1 to 5 (Table 1): 85.04, 89.76, 86.82, 74.50,
50.37 %. Not run.
"""

_base_ = 'nin4_cifar10.py'

model = dict(backbone=dict(num_blocks=5))
