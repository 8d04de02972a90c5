"""MLP with two hidden layers of 200 units on each block of a frozen NIN (Table 1).

The feature sizes are those of 32×32 images.
"""

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(type='mmrot.NIN', num_blocks=4, out_indices=(0, 1, 2, 3), frozen_stages=4),
    head=dict(
        type='mmrot.LayerProbes',
        num_classes=10,
        probes=dict(
            conv1=dict(type='mmrot.MLPProbe', in_features=96 * 16 * 16),
            conv2=dict(type='mmrot.MLPProbe', in_features=192 * 8 * 8),
            conv3=dict(type='mmrot.MLPProbe', in_features=192 * 8 * 8),
            conv4=dict(type='mmrot.MLPProbe', in_features=192 * 8 * 8),
        ),
    ),
)
