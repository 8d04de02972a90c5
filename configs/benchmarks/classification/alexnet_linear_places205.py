"""Linear probes on conv1 to conv5 of AlexNet, Places205 (Table 6).

    tools/benchmarks/linear_eval.sh PRETRAINED.pth 1 \\
        configs/benchmarks/classification/alexnet_linear_places205.py

``random`` in place of the checkpoint is the control. 1 GPU × 192 images, 35
epochs; single central crop without flips in testing.

Published, top-1, pretrained on ImageNet: RotNet 21.5, 31.0, 35.1, 34.6, 33.7 %;
random 15.7, 20.3, 19.8, 19.1, 17.5 %. With this code: not run.
"""

_base_ = [
    '../../_base_/models/linear_alexnet.py',
    '../../_base_/datasets/places205_224.py',
    '../../_base_/datasets/random_crop_224_pipeline.py',
    '../../_base_/schedules/imagenet_linear_35e.py',
    '../../_base_/per_layer_accuracy.py',
    '../../_base_/default_runtime.py',
]

data_preprocessor = dict(type='mmpretrain.ClsDataPreprocessor')
model = dict(head=dict(num_classes=205))
custom_hooks = [
    dict(type='mmrot.LoadBackboneHook', checkpoint=None),
    dict(
        type='mmrot.ResultTableHook',
        tables=[dict(table='table6')],
    ),
]
train_dataloader = dict(batch_size=192, dataset=dict(pipeline={{_base_.random_crop_pipeline}}))
val_dataloader = dict(batch_size=192)
test_dataloader = dict(batch_size=192)
val_evaluator = dict(topk=(1, 5))
test_evaluator = dict(topk=(1, 5))
default_hooks = dict(checkpoint=dict(save_best='best/top1'))
