r"""ResNet-18 on a folder of 200 to 100,000 photos, on a CPU or one GPU.

    python tools/train.py configs/rotnet/photos.py --image-folder PHOTOS

32 images = 128 rotated copies per step, 600 steps whether there are 200 photos or
100,000: about an hour on 2 CPU cores. Measured: docs/measurements.md, "Your own photos".
"""

_base_ = [
    '../_base_/models/rotnet_resnet18.py',
    '../_base_/datasets/photos_96.py',
    '../_base_/schedules/photos_600.py',
    '../_base_/rotation_accuracy.py',
    '../_base_/default_runtime.py',
]

train_dataloader = val_dataloader = test_dataloader = dict(batch_size=32)
default_hooks = dict(
    logger=dict(interval=50, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=200, save_best='rotation/accuracy'),
)
log_processor = dict(by_epoch=False)
