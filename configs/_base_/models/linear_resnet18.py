"""Linear probe on each stage of a frozen ResNet-18.

Maps are max-pooled to sides of 8, 6, 4 and 3: 4096, 4608, 4096 and 4608 elements.
"""

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(type='mmpretrain.ResNet', depth=18, out_indices=(0, 1, 2, 3), frozen_stages=4),
    head=dict(
        type='mmrot.LayerProbes',
        num_classes=1000,
        probes=dict(
            stage1=dict(type='mmrot.LinearProbe', in_channels=64, pool_size=8),
            stage2=dict(type='mmrot.LinearProbe', in_channels=128, pool_size=6),
            stage3=dict(type='mmrot.LinearProbe', in_channels=256, pool_size=4),
            stage4=dict(type='mmrot.LinearProbe', in_channels=512, pool_size=3),
        ),
    ),
)
