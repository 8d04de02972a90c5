"""30 epochs at lr 0.01, divided by 10 after 10 and 20 (Section 3.2).

Nesterov momentum is from the released code; the paper does not mention it.
"""

optim_wrapper = dict(
    optimizer=dict(type='mmengine.SGD', lr=0.01, momentum=0.9, weight_decay=5e-4, nesterov=True)
)
param_scheduler = dict(type='mmengine.MultiStepLR', by_epoch=True, milestones=[10, 20], gamma=0.1)
train_cfg = dict(by_epoch=True, max_epochs=30, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(enable=False, base_batch_size=192)  # images
