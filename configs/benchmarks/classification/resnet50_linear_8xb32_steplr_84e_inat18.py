"""Linear probes on the stem and the stages of ResNet-50, iNaturalist 2018.

    tools/benchmarks/linear_eval.sh PRETRAINED.pth 8 \\
        configs/benchmarks/classification/resnet50_linear_8xb32_steplr_84e_inat18.py

8 GPUs × 32 images, 84 epochs at lr 0.01, divided by 10 after 24, 48 and 72
(MMSelfSup's recipe).

The ResNet-50 model page names the data set and gives no number. With this code:
not run.
"""

_base_ = [
    '../../_base_/models/linear_resnet50.py',
    '../../_base_/datasets/inaturalist2018_224.py',
    '../../_base_/schedules/resnet50_linear_90e.py',
    '../../_base_/per_layer_accuracy.py',
    '../../_base_/default_runtime.py',
]

data_preprocessor = dict(type='mmpretrain.ClsDataPreprocessor')
sync_bn = 'torch'
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
