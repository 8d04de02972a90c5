"""ImageNet-1k at 224×224: random resized crops and flips; central crops for testing.

Layout: data/imagenet/{train,val}/<class>/*.JPEG, or {train,val}/*.JPEG with the lists
meta/{train,val}.txt. Probes need all 1,000 classes; pretraining works with any number.
"""

data_root = 'data/imagenet'

data_preprocessor = dict(
    # for RGB images in [0, 255]
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)

# Pillow's resizing is antialiased, as in the sources
train_pipeline = [
    dict(type='mmrot.LoadImage'),
    dict(
        type='mmpretrain.RandomResizedCrop',
        scale=224,
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
        scale=256,
        edge='short',
        backend='pillow',
        interpolation='bilinear',
    ),
    dict(type='mmpretrain.CenterCrop', crop_size=224),
    dict(type='mmpretrain.PackInputs'),
]

train_dataloader = dict(
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmpretrain.ImageNet', data_root=data_root, split='train', pipeline=train_pipeline
    ),
)
val_dataloader = dict(
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmpretrain.ImageNet', data_root=data_root, split='val', pipeline=test_pipeline
    ),
)
test_dataloader = val_dataloader
