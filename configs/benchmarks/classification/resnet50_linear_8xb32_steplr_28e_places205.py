"""Linear probes on the stem and the stages of ResNet-50, Places205.

    tools/benchmarks/linear_eval.sh PRETRAINED.pth 8 \\
        configs/benchmarks/classification/resnet50_linear_8xb32_steplr_28e_places205.py

8 GPUs × 32 images, 28 epochs at lr 0.01, divided by 10 after 7, 14 and 21
(MMSelfSup's recipe).

Published (ResNet-50 model page), feature1 to feature5: 18.94, 34.72, 44.53,
46.30, 44.12 %. With this code: not run.
"""

_base_ = [
    '../../_base_/models/linear_resnet50.py',
    '../../_base_/datasets/places205_224.py',
    '../../_base_/schedules/resnet50_linear_90e.py',
    '../../_base_/per_layer_accuracy.py',
    '../../_base_/default_runtime.py',
]

data_preprocessor = dict(type='mmpretrain.ClsDataPreprocessor')
sync_bn = 'torch'
model = dict(head=dict(num_classes=205))
custom_hooks = [
    dict(type='mmrot.LoadBackboneHook', checkpoint=None),
    dict(
        type='mmrot.ResultTableHook',
        tables=[dict(table='resnet50_places205')],
    ),
]
param_scheduler = dict(milestones=[7, 14, 21])
train_cfg = dict(max_epochs=28)
train_dataloader = dict(batch_size=32)
val_dataloader = dict(batch_size=32)
test_dataloader = dict(batch_size=32)
val_evaluator = dict(topk=(1, 5))
test_evaluator = dict(topk=(1, 5))
default_hooks = dict(checkpoint=dict(save_best='best/top1'))
