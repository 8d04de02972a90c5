r"""Linear classifier on the average-pooled last map of ResNet-50, iNaturalist 2018.

    tools/benchmarks/linear_eval.sh PRETRAINED.pth 8 \
        configs/benchmarks/classification/resnet50_avgpool_8xb32_steplr_84e_inat18.py

8 GPUs × 32 images, 84 epochs. No source has a recipe or a number: the learning rate is
that for ImageNet, the epochs are those of the per-stage probes on iNaturalist 2018. Not run.
"""

_base_ = [
    '../../_base_/models/avgpool_resnet50.py',
    '../../_base_/datasets/inaturalist2018_224.py',
    '../../_base_/schedules/resnet50_avgpool_100e.py',
    '../../_base_/probe_runtime.py',
]

data_preprocessor = dict(type='mmpretrain.ClsDataPreprocessor')
model = dict(head=dict(num_classes=8142))
train_dataloader = val_dataloader = test_dataloader = dict(batch_size=32)
param_scheduler = dict(milestones=[24, 48, 72])
train_cfg = dict(max_epochs=84)
default_hooks = dict(result_table=dict(tables=[dict(table='resnet50_inaturalist2018')]))
