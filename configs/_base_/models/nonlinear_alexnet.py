"""AlexNet's layers after conv4 and conv5 of a frozen AlexNet (Table 4)."""

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(type='mmrot.AlexNet', out_indices=(3, 4), frozen_stages=5),
    head=dict(
        type='mmrot.LayerProbes',
        num_classes=1000,
        probes=dict(
            conv4=dict(type='mmrot.AlexNetProbe', after='conv4'),
            conv5=dict(type='mmrot.AlexNetProbe', after='conv5'),
        ),
    ),
)
