"""NIN with 4 blocks that predicts rotations (Section 3.1)."""

model = dict(
    type='mmrot.RotationPred',
    angles=(0, 90, 180, 270),
    channels_last=True,
    backbone=dict(type='mmrot.NIN', num_blocks=4, width=192),
    # PyTorch's initialisation, as in the released code
    head=dict(type='mmrot.RotationHead', in_channels=192, init_cfg=None),
)
