r"""ResNet-50 on ImageNet, the recipe of the ResNet-50 model page: 70 epochs.

    tools/dist_train.sh configs/rotnet/resnet50_8xb16_steplr_70e_in1k.py 8

8 GPUs × 16 images = 128 images, 512 rotated copies; synchronised batch norm.

Published, linear probes on feature1 to feature5 (model page): 12.15, 31.99, 44.57, 54.20,
45.94 %. Not run.
"""

_base_ = [
    '../_base_/models/rotnet_resnet50.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/resnet50_70e.py',
    '../_base_/rotation_accuracy.py',
    '../_base_/default_runtime.py',
]

sync_bn = 'torch'
# labels are not used: images may be in any number of class folders, or none
train_dataloader = val_dataloader = test_dataloader = dict(
    batch_size=16, dataset=dict(type='mmrot.UnlabelledImages')
)
default_hooks = dict(checkpoint=dict(save_best='rotation/accuracy'))
