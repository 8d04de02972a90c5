r"""AlexNet on Places205 with the recipe of the released code: 50 epochs.

    tools/dist_train.sh configs/rotnet/alexnet_50e_places205.py 8

8 GPUs × 24 images = 192 images, 768 rotated copies; lr 0.01, divided by 10 after 15, 30
and 45 epochs. Not run.
"""

_base_ = 'alexnet_places205.py'

param_scheduler = dict(milestones=[15, 30, 45])
train_cfg = dict(max_epochs=50)
