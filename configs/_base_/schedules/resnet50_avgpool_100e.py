"""100 epochs at lr 30 without weight decay, divided by 10 after 60 and 80.

MoCo's recipe for linear classification as in MMSelfSup 0.x, to which the ResNet-50
model page links.
"""

optim_wrapper = dict(optimizer=dict(type='mmengine.SGD', lr=30.0, momentum=0.9, weight_decay=0.0))
param_scheduler = dict(type='mmengine.MultiStepLR', by_epoch=True, milestones=[60, 80], gamma=0.1)
train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(enable=False, base_batch_size=256)
