"""100 epochs at lr 0.1, divided by 5 after 30, 60 and 80 (Section 3.1).

Nesterov momentum is from the released code; the paper does not mention it.
"""

optim_wrapper = dict(
    optimizer=dict(type='mmengine.SGD', lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
)
param_scheduler = dict(
    type='mmengine.MultiStepLR', by_epoch=True, milestones=[30, 60, 80], gamma=0.2
)
train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(enable=False, base_batch_size=128)  # images
