r"""Linear probes on the stem and the stages of ResNet-50, ImageNet.

    tools/benchmarks/linear_eval.sh PRETRAINED.pth 8 \
        configs/benchmarks/classification/resnet50_linear_8xb32_steplr_90e_in1k.py

8 GPUs × 32 images, 90 epochs. MMSelfSup's recipe.

Published (ResNet-50 model page), feature1 to feature5: 12.15, 31.99, 44.57, 54.20,
45.94 %. Not run.
"""

_base_ = [
    '../../_base_/models/linear_resnet50.py',
    '../../_base_/datasets/imagenet_224.py',
    '../../_base_/schedules/resnet50_linear_90e.py',
    '../../_base_/probe_runtime.py',
]

data_preprocessor = dict(type='mmpretrain.ClsDataPreprocessor')
sync_bn = 'torch'

train_pipeline = [
    dict(type='mmrot.LoadImage'),
    dict(
        type='mmpretrain.RandomResizedCrop',
        scale=224,
        backend='pillow',
        interpolation='bilinear',
    ),
    dict(type='mmpretrain.RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='mmpretrain.ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4),
    dict(type='mmrot.Lighting'),
    dict(type='mmpretrain.PackInputs'),
]
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=train_pipeline))
val_dataloader = test_dataloader = dict(batch_size=32)
default_hooks = dict(result_table=dict(tables=[dict(table='resnet50_imagenet')]))
