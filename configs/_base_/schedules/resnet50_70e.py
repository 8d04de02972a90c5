"""70 epochs at lr 0.2 with 5 epochs of warm-up from 0.02, divided by 10 after 30 and 50.

The recipe of the ResNet-50 model page.
"""

optim_wrapper = dict(optimizer=dict(type='mmengine.SGD', lr=0.2, momentum=0.9, weight_decay=1e-4))
param_scheduler = [
    dict(
        type='mmengine.LinearLR',
        start_factor=0.1,
        by_epoch=True,
        begin=0,
        end=5,
        convert_to_iter_based=True,
    ),
    dict(type='mmengine.MultiStepLR', by_epoch=True, milestones=[30, 50], gamma=0.1),
]
train_cfg = dict(by_epoch=True, max_epochs=70, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(enable=False, base_batch_size=128)  # images
