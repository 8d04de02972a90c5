"""A folder of photos at 96×96, without labels; --image-folder and --image-size change both.

Downsampling removes traces of JPEG compression, which tell a network how a photo was rotated.
"""

data_preprocessor = dict(
    # for RGB images in [0, 255]
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)

train_pipeline = [
    dict(type='mmrot.LoadImage'),
    dict(
        type='mmpretrain.RandomResizedCrop',
        scale=96,
        crop_ratio_range=(0.3, 1.0),
        backend='pillow',
        interpolation='bilinear',
    ),
    dict(type='mmpretrain.RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='mmpretrain.PackInputs'),
]
test_pipeline = [
    dict(type='mmrot.LoadImage'),
    dict(
        type='mmpretrain.ResizeEdge',
        scale=110,
        edge='short',
        backend='pillow',
        interpolation='bilinear',
    ),
    dict(type='mmpretrain.CenterCrop', crop_size=96),
    dict(type='mmpretrain.PackInputs'),
]

train_dataloader = dict(
    num_workers=2,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='mmengine.InfiniteSampler', shuffle=True),
    dataset=dict(
        type='mmrot.ImageFolder', data_root='photos', split='train', pipeline=train_pipeline
    ),
)
val_dataloader = dict(
    num_workers=2,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmrot.ImageFolder', data_root='photos', split='val', pipeline=test_pipeline
    ),
)
test_dataloader = val_dataloader
