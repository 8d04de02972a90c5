r"""Linear probes on the stem and the stages of ResNet-50, Places205.

    tools/benchmarks/linear_eval.sh PRETRAINED.pth 8 \
        configs/benchmarks/classification/resnet50_linear_8xb32_steplr_28e_places205.py

8 GPUs × 32 images, 28 epochs at lr 0.01, divided by 10 after 7, 14 and 21
(MMSelfSup's recipe). Random crops of 224 from the central 256×256.

Published (ResNet-50 model page), feature1 to feature5: 18.94, 34.72, 44.53, 46.30,
44.12 %. Not run.
"""

_base_ = [
    '../../_base_/models/linear_resnet50.py',
    '../../_base_/datasets/places205_224.py',
    '../../_base_/schedules/resnet50_linear_90e.py',
    '../../_base_/probe_runtime.py',
]

data_preprocessor = dict(type='mmpretrain.ClsDataPreprocessor')
sync_bn = 'torch'
model = dict(head=dict(num_classes=205))
train_pipeline = [
    dict(type='mmrot.LoadImage'),
    dict(
        type='mmpretrain.ResizeEdge',
        scale=256,
        edge='short',
        backend='pillow',
        interpolation='bilinear',
    ),
    dict(type='mmpretrain.CenterCrop', crop_size=256),
    dict(type='mmpretrain.RandomCrop', crop_size=224),
    dict(type='mmpretrain.RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='mmpretrain.PackInputs'),
]
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=train_pipeline))
val_dataloader = test_dataloader = dict(batch_size=32)
param_scheduler = dict(milestones=[7, 14, 21])
train_cfg = dict(max_epochs=28)
default_hooks = dict(result_table=dict(tables=[dict(table='resnet50_places205')]))
