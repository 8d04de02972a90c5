r"""AlexNet on ImageNet with the schedule of the released code: 50 epochs.

    tools/dist_train.sh configs/rotnet/alexnet_50e_in1k.py 8

8 GPUs × 24 images = 192 images, 768 rotated copies; lr 0.01, divided by 10 after 15, 30
and 45 epochs.

Published: a user measured a rotation accuracy of 89.18 % for the released model (issue 8 of the
authors' code repository). Not run.
"""

_base_ = 'alexnet_in1k.py'

param_scheduler = dict(milestones=[15, 30, 45])
train_cfg = dict(max_epochs=50)
