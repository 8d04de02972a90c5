r"""AlexNet's own layers, trained after conv4 and conv5, ImageNet (Table 4).

    tools/benchmarks/nonlinear_eval.sh PRETRAINED.pth

1 GPU × 192 images, 40 epochs; tested on a single central crop. Pass ``random`` instead of
the checkpoint for the baseline.

Published, top-1 (Table 4): RotNet 50.0, 43.8 %; random 27.1, 12.0 %. Not run.
"""

_base_ = [
    '../../_base_/models/nonlinear_alexnet.py',
    '../../_base_/datasets/imagenet_224.py',
    '../../_base_/datasets/random_crop_224_pipeline.py',
    '../../_base_/schedules/imagenet_nonlinear_40e.py',
    '../../_base_/probe_runtime.py',
]

data_preprocessor = dict(type='mmpretrain.ClsDataPreprocessor')
train_dataloader = dict(batch_size=192, dataset=dict(pipeline={{_base_.random_crop_pipeline}}))
val_dataloader = test_dataloader = dict(batch_size=192)
default_hooks = dict(result_table=dict(tables=[dict(table='table4')]))
