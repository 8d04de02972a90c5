r"""AlexNet on ImageNet with the paper's schedule (Section 3.2): 30 epochs.

    tools/dist_train.sh configs/rotnet/alexnet_in1k.py 8

8 GPUs × 24 images = 192 images, 768 rotated copies. On one GPU add
``--cfg-options train_dataloader.batch_size=192``.

Published: about 2 days on one Titan X (Section 2.3). Linear probes on conv1 to conv5
(Table 5): 18.8, 31.7, 38.7, 38.2, 36.5 %. The rotation accuracy is not in the paper; around
89.0 % according to one of the authors (issue 17 of their code repository; the schedule is not
stated). Not run at this size; docs/measurements.md has a short run on other data.
"""

_base_ = [
    '../_base_/models/rotnet_alexnet.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/imagenet_30e.py',
    '../_base_/rotation_accuracy.py',
    '../_base_/default_runtime.py',
]

# labels are not used: images may be in any number of class folders, or none
train_dataloader = val_dataloader = test_dataloader = dict(
    batch_size=24, dataset=dict(type='mmrot.UnlabelledImages')
)
default_hooks = dict(checkpoint=dict(save_best='rotation/accuracy'))
