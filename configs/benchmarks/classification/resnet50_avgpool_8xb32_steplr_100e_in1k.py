"""A linear classifier on the averaged last map of ResNet-50, ImageNet.

    tools/benchmarks/linear_eval.sh PRETRAINED.pth 8 \\
        configs/benchmarks/classification/resnet50_avgpool_8xb32_steplr_100e_in1k.py

8 GPUs × 32 images, 100 epochs: MoCo's recipe, without batch norm, at lr 30.

Published (ResNet-50 model page): 48.12 %. With this code: not run.
"""

_base_ = [
    '../../_base_/models/avgpool_resnet50.py',
    '../../_base_/datasets/imagenet_224.py',
    '../../_base_/schedules/resnet50_avgpool_100e.py',
    '../../_base_/per_layer_accuracy.py',
    '../../_base_/default_runtime.py',
]

data_preprocessor = dict(type='mmpretrain.ClsDataPreprocessor')
custom_hooks = [
    dict(type='mmrot.LoadBackboneHook', checkpoint=None),
    dict(
        type='mmrot.ResultTableHook',
        tables=[dict(table='resnet50_imagenet')],
    ),
]
train_dataloader = dict(batch_size=32)
val_dataloader = dict(batch_size=32)
test_dataloader = dict(batch_size=32)
val_evaluator = dict(topk=(1, 5))
test_evaluator = dict(topk=(1, 5))
default_hooks = dict(checkpoint=dict(save_best='best/top1'))
