"""mmpretrain's ResNet-50 that predicts rotations."""

model = dict(
    type='mmrot.RotationPred',
    angles=(0, 90, 180, 270),
    channels_last=True,
    backbone=dict(type='mmpretrain.ResNet', depth=50, zero_init_residual=False),
    head=dict(type='mmrot.RotationHead', in_channels=2048),
)
