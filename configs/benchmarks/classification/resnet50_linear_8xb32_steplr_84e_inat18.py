r"""Linear probes on the stem and the stages of ResNet-50, iNaturalist 2018.

    tools/benchmarks/linear_eval.sh PRETRAINED.pth 8 \
        configs/benchmarks/classification/resnet50_linear_8xb32_steplr_84e_inat18.py

8 GPUs × 32 images, 84 epochs at lr 0.01, divided by 10 after 24, 48 and 72
(MMSelfSup's recipe).

The ResNet-50 model page names the dataset without a number. Not run.
"""

_base_ = [
    '../../_base_/models/linear_resnet50.py',
    '../../_base_/datasets/inaturalist2018_224.py',
    '../../_base_/schedules/resnet50_linear_90e.py',
    '../../_base_/probe_runtime.py',
]

data_preprocessor = dict(type='mmpretrain.ClsDataPreprocessor')
sync_bn = 'torch'
model = dict(head=dict(num_classes=8142))
train_dataloader = val_dataloader = test_dataloader = dict(batch_size=32)
param_scheduler = dict(milestones=[24, 48, 72])
train_cfg = dict(max_epochs=84)
default_hooks = dict(result_table=dict(tables=[dict(table='resnet50_inaturalist2018')]))
