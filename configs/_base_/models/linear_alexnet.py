"""Linear probe on each convolutional layer of a frozen AlexNet (Tables 5 and 6)."""

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(type='mmrot.AlexNet', out_indices=(0, 1, 2, 3, 4), frozen_stages=5),
    head=dict(
        type='mmrot.LayerProbes',
        num_classes=1000,
        probes=dict(
            conv1=dict(type='mmrot.LinearProbe', in_channels=64, pool_size=12),
            conv2=dict(type='mmrot.LinearProbe', in_channels=192, pool_size=7),
            conv3=dict(type='mmrot.LinearProbe', in_channels=384, pool_size=5),
            conv4=dict(type='mmrot.LinearProbe', in_channels=256, pool_size=6),
            conv5=dict(type='mmrot.LinearProbe', in_channels=256, pool_size=6),
        ),
    ),
)
