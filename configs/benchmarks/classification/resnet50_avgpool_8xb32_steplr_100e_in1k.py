r"""Linear classifier on the average-pooled last map of ResNet-50, ImageNet.

    tools/benchmarks/linear_eval.sh PRETRAINED.pth 8 \
        configs/benchmarks/classification/resnet50_avgpool_8xb32_steplr_100e_in1k.py

8 GPUs × 32 images, 100 epochs at lr 30: MoCo's recipe, without batch norm.

Published (ResNet-50 model page): 48.12 %. Not run.
"""

_base_ = [
    '../../_base_/models/avgpool_resnet50.py',
    '../../_base_/datasets/imagenet_224.py',
    '../../_base_/schedules/resnet50_avgpool_100e.py',
    '../../_base_/probe_runtime.py',
]

data_preprocessor = dict(type='mmpretrain.ClsDataPreprocessor')
train_dataloader = val_dataloader = test_dataloader = dict(batch_size=32)
default_hooks = dict(result_table=dict(tables=[dict(table='resnet50_imagenet')]))
