"""A linear classifier on the averaged last map of ResNet-50, iNaturalist 2018.

    tools/benchmarks/linear_eval.sh PRETRAINED.pth 8 \\
        configs/benchmarks/classification/resnet50_avgpool_8xb32_steplr_84e_inat18.py

8 GPUs × 32 images. No source gives a recipe or a number for this one: the
learning rate is ImageNet's, the epochs are those of the per-stage probes on
iNaturalist 2018. With this code: not run.
"""

_base_ = [
    '../../_base_/models/avgpool_resnet50.py',
    '../../_base_/datasets/inaturalist2018_224.py',
    '../../_base_/schedules/resnet50_avgpool_100e.py',
    '../../_base_/per_layer_accuracy.py',
    '../../_base_/default_runtime.py',
]

data_preprocessor = dict(type='mmpretrain.ClsDataPreprocessor')
model = dict(head=dict(num_classes=8142))
custom_hooks = [
    dict(type='mmrot.LoadBackboneHook', checkpoint=None),
    dict(
        type='mmrot.ResultTableHook',
        tables=[dict(table='resnet50_inaturalist2018')],
    ),
]
param_scheduler = dict(milestones=[24, 48, 72])
train_cfg = dict(max_epochs=84)
train_dataloader = dict(batch_size=32)
val_dataloader = dict(batch_size=32)
test_dataloader = dict(batch_size=32)
val_evaluator = dict(topk=(1, 5))
test_evaluator = dict(topk=(1, 5))
default_hooks = dict(checkpoint=dict(save_best='best/top1'))
