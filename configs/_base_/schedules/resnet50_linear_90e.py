"""90 epochs at lr 0.01, divided by 10 after 30 and 60.

The recipe of MMSelfSup 0.x, to which the ResNet-50 model page links.
"""

optim_wrapper = dict(
    optimizer=dict(type='mmengine.SGD', lr=0.01, momentum=0.9, weight_decay=1e-4, nesterov=True)
)
param_scheduler = dict(type='mmengine.MultiStepLR', by_epoch=True, milestones=[30, 60], gamma=0.1)
train_cfg = dict(by_epoch=True, max_epochs=90, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(enable=False, base_batch_size=256)
