"""ResNet-50 on ImageNet, the recipe of the ResNet-50 model page: 70 epochs.

    tools/dist_train.sh configs/rotnet/resnet50_8xb16_steplr_70e_in1k.py 8

8 GPUs × 16 images = 128 images, 512 rotated copies; batch norm is synchronised.

Published, linear on stages 1 to 5: 12.15, 31.99, 44.57, 54.20, 45.94 %.
With this code: not run.
"""

_base_ = [
    '../_base_/models/rotnet_resnet50.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/resnet50_70e.py',
    '../_base_/rotation_accuracy.py',
    '../_base_/default_runtime.py',
]

sync_bn = 'torch'
train_dataloader = dict(batch_size=16)
val_dataloader = dict(batch_size=16)
test_dataloader = dict(batch_size=16)
default_hooks = dict(checkpoint=dict(save_best='rotation/accuracy'))
