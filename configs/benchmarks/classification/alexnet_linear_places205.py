r"""Linear probes on conv1 to conv5 of AlexNet, Places205 (Table 6).

    tools/benchmarks/linear_eval.sh PRETRAINED.pth 1 \
        configs/benchmarks/classification/alexnet_linear_places205.py

Otherwise as alexnet_linear_in1k.py; the backbone is pretrained on ImageNet.

Published, top-1 (Table 6): RotNet 21.5, 31.0, 35.1, 34.6, 33.7 %; random 15.7, 20.3, 19.8,
19.1, 17.5 %. Not run.
"""

_base_ = [
    '../../_base_/models/linear_alexnet.py',
    '../../_base_/datasets/places205_224.py',
    '../../_base_/datasets/random_crop_224_pipeline.py',
    '../../_base_/schedules/imagenet_linear_35e.py',
    '../../_base_/probe_runtime.py',
]

data_preprocessor = dict(type='mmpretrain.ClsDataPreprocessor')
model = dict(head=dict(num_classes=205))
train_dataloader = dict(batch_size=192, dataset=dict(pipeline={{_base_.random_crop_pipeline}}))
val_dataloader = test_dataloader = dict(batch_size=192)
default_hooks = dict(result_table=dict(tables=[dict(table='table6')]))
