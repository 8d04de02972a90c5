"""Linear probes on conv1 to conv5 of AlexNet, ImageNet (Table 5).

    tools/dist_train.sh configs/benchmarks/classification/alexnet_linear_in1k.py 1 \\
        --cfg-options custom_hooks.0.checkpoint=PRETRAINED.pth

``checkpoint=random`` is the control. 1 GPU × 192 images, 35 epochs; single
central crop without flips in testing.

Published, top-1: RotNet 18.8, 31.7, 38.7, 38.2, 36.5 %; random 11.6, 17.1,
16.9, 16.3, 14.1 %. With this code: not run.
"""

_base_ = [
    '../../_base_/models/linear_alexnet.py',
    '../../_base_/datasets/imagenet_224.py',
    '../../_base_/schedules/imagenet_linear_35e.py',
    '../../_base_/per_layer_accuracy.py',
    '../../_base_/default_runtime.py',
]

# resize, then random crops of one size, as the released code does
train_pipeline = [
    dict(type='mmpretrain.LoadImageFromFile'),
    dict(type='mmpretrain.ResizeEdge', scale=256, edge='short'),
    dict(type='mmpretrain.RandomCrop', crop_size=224),
    dict(type='mmpretrain.RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='mmpretrain.PackInputs'),
]
train_dataloader = dict(batch_size=192, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=192)
test_dataloader = dict(batch_size=192)
val_evaluator = dict(topk=(1, 5))
test_evaluator = dict(topk=(1, 5))
default_hooks = dict(checkpoint=dict(save_best='best/top1'))
