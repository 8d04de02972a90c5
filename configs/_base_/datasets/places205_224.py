"""Places205 at 224×224: random resized crops and flips; central crops for testing.

Layout: the dataset's two archives, extracted to data/places205:
data/vision/torralba/deeplearning/images256/<letter>/<class>/*.jpg and
trainvalsplit_places205/{train,val}_places205.csv.
"""

data_root = 'data/places205'

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
        type='mmpretrain.Places205',
        data_root=data_root,
        data_prefix='data/vision/torralba/deeplearning/images256',
        ann_file='trainvalsplit_places205/train_places205.csv',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmpretrain.Places205',
        data_root=data_root,
        data_prefix='data/vision/torralba/deeplearning/images256',
        ann_file='trainvalsplit_places205/val_places205.csv',
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
