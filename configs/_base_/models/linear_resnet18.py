"""Linear probe on each stage of a frozen ResNet-18.

Maps are max-pooled to sides of 8, 6, 4 and 3: 4096, 4608, 4096 and 4608 elements. Weights start
from N(0, 0.01²): those of the paper's code, N(0, 2 / number of classes), are made for 1,000
classes.
"""

init_cfg = dict(type='Normal', layer='Linear', std=0.01)

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(
        type='mmpretrain.ResNet',
        depth=18,
        out_indices=(0, 1, 2, 3),
        frozen_stages=4,
        zero_init_residual=False,  # the baseline with random weights needs all layers
    ),
    head=dict(
        type='mmrot.LayerProbes',
        num_classes=1000,
        probes=dict(
            stage1=dict(type='mmrot.LinearProbe', in_channels=64, pool_size=8, init_cfg=init_cfg),
            stage2=dict(type='mmrot.LinearProbe', in_channels=128, pool_size=6, init_cfg=init_cfg),
            stage3=dict(type='mmrot.LinearProbe', in_channels=256, pool_size=4, init_cfg=init_cfg),
            stage4=dict(type='mmrot.LinearProbe', in_channels=512, pool_size=3, init_cfg=init_cfg),
        ),
    ),
)
