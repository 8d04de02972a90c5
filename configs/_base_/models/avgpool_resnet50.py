"""Linear classifier on the average-pooled last feature map of a frozen ResNet-50."""

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(type='mmpretrain.ResNet', depth=50, frozen_stages=4, zero_init_residual=False),
    head=dict(
        type='mmrot.LayerProbes',
        num_classes=1000,
        probes=dict(
            avgpool=dict(
                type='mmrot.LinearProbe',
                in_channels=2048,
                pool_size=1,
                pool='avg',
                with_bn=False,
                init_cfg=dict(type='Normal', layer='Linear', std=0.01),
            )
        ),
    ),
)
