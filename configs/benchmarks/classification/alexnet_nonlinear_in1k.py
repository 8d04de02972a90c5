"""AlexNet's own layers, trained behind conv4 and conv5, ImageNet (Table 4).

    tools/benchmarks/nonlinear_eval.sh PRETRAINED.pth

``random`` in place of the checkpoint is the control. 1 GPU × 192 images, 40
epochs; single central crop without flips in testing.

Published, top-1: RotNet 50.0, 43.8 %; random 27.1, 12.0 %. With this code: not
run.
"""

_base_ = [
    '../../_base_/models/nonlinear_alexnet.py',
    '../../_base_/datasets/imagenet_224.py',
    '../../_base_/datasets/random_crop_224_pipeline.py',
    '../../_base_/schedules/imagenet_nonlinear_40e.py',
    '../../_base_/per_layer_accuracy.py',
    '../../_base_/default_runtime.py',
]

data_preprocessor = dict(type='mmpretrain.ClsDataPreprocessor')
custom_hooks = [
    dict(type='mmrot.LoadBackboneHook', checkpoint=None),
    dict(
        type='mmrot.ResultTableHook',
        tables=[dict(table='table4')],
    ),
]
train_dataloader = dict(batch_size=192, dataset=dict(pipeline={{_base_.random_crop_pipeline}}))
val_dataloader = dict(batch_size=192)
test_dataloader = dict(batch_size=192)
val_evaluator = dict(topk=(1, 5))
test_evaluator = dict(topk=(1, 5))
default_hooks = dict(checkpoint=dict(save_best='best/top1'))
