"""Linear probe on each convolutional layer of a frozen AlexNet (Tables 5 and 6).

As in the released code, on conv1 and conv2 before their max pools.
"""

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(
        type='mmrot.AlexNet',
        out_indices=('conv1', 'conv2', 'conv3', 'conv4', 'conv5'),
        frozen_stages=5,
    ),
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
