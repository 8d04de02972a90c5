"""Third NIN block on block 2 of a frozen NIN (Table 3, "conv")."""

model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(type='mmrot.NIN', num_blocks=4, out_indices=(1,), frozen_stages=2),
    head=dict(
        type='mmrot.LayerProbes',
        num_classes=10,
        probes=dict(conv2=dict(type='mmrot.NINBlockProbe', in_channels=192, width=192)),
    ),
)
