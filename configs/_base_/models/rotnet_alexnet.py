"""AlexNet that predicts rotations from fc7 (Section 3.2)."""

model = dict(
    type='mmrot.RotationPred',
    angles=(0, 90, 180, 270),
    channels_last=True,
    backbone=dict(type='mmrot.AlexNet', out_indices=(7,)),
    # PyTorch's initialisation, as in the released code
    head=dict(type='mmrot.RotationHead', in_channels=4096, init_cfg=None),
)
