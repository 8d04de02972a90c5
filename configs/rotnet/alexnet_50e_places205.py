r"""AlexNet on Places205 by the recipe of the released code: 50 epochs.

    tools/dist_train.sh configs/rotnet/alexnet_50e_places205.py 8

8 GPUs × 24 images = 192 images, 768 rotated copies; lr 0.01, divided by 10 after 15, 30
and 45 epochs. The 256×256 images are cropped at random without resizing. Not run.
"""

_base_ = 'alexnet_places205.py'

train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='mmpretrain.LoadImageFromFile'),
            dict(type='mmpretrain.RandomCrop', crop_size=224),
            dict(type='mmpretrain.RandomFlip', prob=0.5, direction='horizontal'),
            dict(type='mmpretrain.PackInputs'),
        ]
    )
)
param_scheduler = dict(milestones=[15, 30, 45])
train_cfg = dict(max_epochs=50)
