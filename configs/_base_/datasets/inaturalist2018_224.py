"""iNaturalist 2018 at 224×224: random resized crops and flips; central crops for testing.

Layout: the dataset's archives, extracted to data/inaturalist2018:
train_val2018/<kingdom>/<category>/*.jpg, train2018.json and val2018.json.
"""

data_root = 'data/inaturalist2018'

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
        type='mmrot.INaturalist2018',
        data_root=data_root,
        ann_file='train2018.json',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmrot.INaturalist2018',
        data_root=data_root,
        ann_file='val2018.json',
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
