r"""Linear probes on the stages of a ResNet-18, for labelled photos.

    tools/benchmarks/linear_eval.sh PRETRAINED.pth 1 \
        configs/benchmarks/classification/resnet18_linear_photos.py --labelled-folder DIR

DIR has train/<class>/ and val/<class>/. 1 process × 32 images, 300 iterations. Pass ``random``
instead of the checkpoint for the baseline.
"""

_base_ = [
    '../../_base_/models/linear_resnet18.py',
    '../../_base_/datasets/photos_96.py',
    '../../_base_/schedules/photos_600.py',
    '../../_base_/probe_runtime.py',
]

data_preprocessor = dict(type='mmpretrain.ClsDataPreprocessor')
train_dataloader = val_dataloader = test_dataloader = dict(batch_size=32)
train_cfg = dict(max_iters=300, val_interval=300)
param_scheduler = [
    dict(type='mmengine.CosineAnnealingLR', by_epoch=False, begin=0, end=300),
]
default_hooks = dict(
    logger=dict(interval=50), checkpoint=dict(by_epoch=False, interval=100, save_best=None)
)
log_processor = dict(by_epoch=False)
