"""Linear probe on the stem and each stage of a frozen ResNet-50.

Features are average-pooled with the windows of MMSelfSup 0.x, at 224×224 to sides of 12, 6,
4, 3 and 2: 9216, 9216, 8192, 9216 and 8192 elements.
"""

init_cfg = dict(type='Normal', layer='Linear', std=0.01)

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(
        type='mmrot.ResNet',
        depth=50,
        out_indices=(0, 1, 2, 3, 4),
        frozen_stages=4,
        zero_init_residual=False,
    ),
    head=dict(
        type='mmrot.LayerProbes',
        num_classes=1000,
        probes=dict(
            feature1=dict(
                type='mmrot.LinearProbe',
                in_channels=64,
                pool_size=12,
                pool='avg',
                window=(10, 10, 4),
                init_cfg=init_cfg,
            ),
            feature2=dict(
                type='mmrot.LinearProbe',
                in_channels=256,
                pool_size=6,
                pool='avg',
                window=(16, 8, 0),
                init_cfg=init_cfg,
            ),
            feature3=dict(
                type='mmrot.LinearProbe',
                in_channels=512,
                pool_size=4,
                pool='avg',
                window=(13, 5, 0),
                init_cfg=init_cfg,
            ),
            feature4=dict(
                type='mmrot.LinearProbe',
                in_channels=1024,
                pool_size=3,
                pool='avg',
                window=(8, 3, 0),
                init_cfg=init_cfg,
            ),
            feature5=dict(
                type='mmrot.LinearProbe',
                in_channels=2048,
                pool_size=2,
                pool='avg',
                window=(6, 1, 0),
                init_cfg=init_cfg,
            ),
        ),
    ),
)
