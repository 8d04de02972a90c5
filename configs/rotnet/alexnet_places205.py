r"""AlexNet on Places205 with the paper's schedule for ImageNet: 30 epochs.

    tools/dist_train.sh configs/rotnet/alexnet_places205.py 8

8 GPUs × 24 images = 192 images, 768 rotated copies. Nothing is published: the paper
pretrains on ImageNet only. Not run.
"""

_base_ = [
    '../_base_/models/rotnet_alexnet.py',
    '../_base_/datasets/places205_224.py',
    '../_base_/schedules/imagenet_30e.py',
    '../_base_/rotation_accuracy.py',
    '../_base_/default_runtime.py',
]

train_dataloader = val_dataloader = test_dataloader = dict(
    batch_size=24, dataset=dict(type='mmrot.UnlabelledImages')
)
default_hooks = dict(checkpoint=dict(save_best='rotation/accuracy'))
