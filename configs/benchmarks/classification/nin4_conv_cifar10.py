"""Convolutions on block 2 of a NIN, CIFAR-10 (Table 3, "RotNet + conv").

    python tools/train.py configs/benchmarks/classification/nin4_conv_cifar10.py \\
        --cfg-options custom_hooks.0.checkpoint=PRETRAINED.pth

``checkpoint=random`` is "Random Init. + conv"; ``model.backbone.frozen_stages=-1``
fine-tunes. 1 GPU × 128 images, 100 epochs by the released code's schedule: lr
0.1, divided by 5 after 35, 70 and 85.

Published: RotNet 91.16, random 72.50, fine-tuned 92.17 %. With this code: not
run.
"""

_base_ = [
    '../../_base_/models/conv_nin.py',
    '../../_base_/datasets/cifar10_32.py',
    '../../_base_/schedules/cifar10_100e.py',
    '../../_base_/per_layer_accuracy.py',
    '../../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=128)
val_dataloader = dict(batch_size=128)
test_dataloader = dict(batch_size=128)
param_scheduler = dict(milestones=[35, 70, 85])
default_hooks = dict(checkpoint=dict(save_best='best/top1'))
