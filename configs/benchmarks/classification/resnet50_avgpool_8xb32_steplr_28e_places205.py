r"""Linear classifier on the average-pooled last map of ResNet-50, Places205.

    tools/benchmarks/linear_eval.sh PRETRAINED.pth 8 \
        configs/benchmarks/classification/resnet50_avgpool_8xb32_steplr_28e_places205.py

8 GPUs × 32 images, 28 epochs. No source has a recipe or a number: the learning rate is
that for ImageNet, the epochs are those of the per-stage probes on Places205. Not run.
"""

_base_ = [
    '../../_base_/models/avgpool_resnet50.py',
    '../../_base_/datasets/places205_224.py',
    '../../_base_/schedules/resnet50_avgpool_100e.py',
    '../../_base_/probe_runtime.py',
]

data_preprocessor = dict(type='mmpretrain.ClsDataPreprocessor')
model = dict(head=dict(num_classes=205))
train_dataloader = val_dataloader = test_dataloader = dict(batch_size=32)
param_scheduler = dict(milestones=[7, 14, 21])
train_cfg = dict(max_epochs=28)
default_hooks = dict(result_table=dict(tables=[dict(table='resnet50_places205')]))
