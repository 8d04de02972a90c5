r"""Linear probes on conv1 to conv5 of AlexNet, ImageNet (Table 5).

    tools/benchmarks/linear_eval.sh PRETRAINED.pth

1 GPU × 192 images, 35 epochs; tested on a single central crop. Pass ``random`` instead of
the checkpoint for the baseline.

Published, top-1 (Table 5): RotNet 18.8, 31.7, 38.7, 38.2, 36.5 %; random 11.6, 17.1, 16.9,
16.3, 14.1 %. Not run at this size; docs/measurements.md has a short run on other data.
"""

_base_ = [
    '../../_base_/models/linear_alexnet.py',
    '../../_base_/datasets/imagenet_224.py',
    '../../_base_/datasets/random_crop_224_pipeline.py',
    '../../_base_/schedules/imagenet_linear_35e.py',
    '../../_base_/probe_runtime.py',
]

data_preprocessor = dict(type='mmpretrain.ClsDataPreprocessor')
train_dataloader = dict(batch_size=192, dataset=dict(pipeline={{_base_.random_crop_pipeline}}))
val_dataloader = test_dataloader = dict(batch_size=192)
default_hooks = dict(result_table=dict(tables=[dict(table='table5')]))
