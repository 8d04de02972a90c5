"""mmpretrain's ResNet-18 that predicts rotations."""

model = dict(
    type='mmrot.RotationPred',
    angles=(0, 90, 180, 270),
    channels_last=True,
    backbone=dict(type='mmpretrain.ResNet', depth=18),
    head=dict(type='mmrot.RotationHead', in_channels=512),
)
