"""CIFAR-10 at 32×32: padding by 4, random crops and flips.

Layout: data/cifar10/cifar-10-batches-py/*, downloaded if missing. The resizing steps have
no effect on CIFAR-10; they are for photos of other sizes (--image-folder).
"""

data_root = 'data/cifar10'

data_preprocessor = dict(
    # statistics of the released code, for RGB images in [0, 255]
    mean=[125.3, 123.0, 113.9],
    std=[63.0, 62.1, 66.7],
    to_rgb=False,
)

train_pipeline = [
    dict(type='mmpretrain.ResizeEdge', scale=32, edge='short', interpolation='area'),
    dict(type='mmpretrain.RandomCrop', crop_size=32, padding=4),
    dict(type='mmpretrain.RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='mmpretrain.PackInputs'),
]
test_pipeline = [
    dict(type='mmpretrain.ResizeEdge', scale=32, edge='short', interpolation='area'),
    dict(type='mmpretrain.CenterCrop', crop_size=32),
    dict(type='mmpretrain.PackInputs'),
]

train_dataloader = dict(
    num_workers=2,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmpretrain.CIFAR10', data_root=data_root, split='train', pipeline=train_pipeline
    ),
)
val_dataloader = dict(
    num_workers=2,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='mmengine.DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmpretrain.CIFAR10', data_root=data_root, split='test', pipeline=test_pipeline
    ),
)
test_dataloader = val_dataloader
