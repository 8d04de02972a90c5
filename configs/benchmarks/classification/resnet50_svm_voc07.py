"""Linear SVMs on the stem and the stages of ResNet-50, VOC 2007.

    tools/benchmarks/svm_voc07.sh PRETRAINED.pth

One SVM per class, trained on trainval, tested on test; its cost is the best of 19 in
3-fold cross-validation. Layout: data/VOCdevkit/VOC2007.

Published (ResNet-50 model page): 67.70 % mAP, with the best stage, feature4. With
this code: not run.
"""

_base_ = ['../../_base_/models/linear_resnet50.py', '../../_base_/default_runtime.py']

data_root = 'data/VOCdevkit/VOC2007'
data_preprocessor = dict(
    # of RGB images in [0, 255]
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)
model = dict(head=dict(num_classes=20))

# the windows of the released configs, for the maps of 224×224 images
pools = dict(
    feature1=dict(kernel_size=10, stride=10, padding=4),
    feature2=dict(kernel_size=16, stride=8, padding=0),
    feature3=dict(kernel_size=13, stride=5, padding=0),
    feature4=dict(kernel_size=8, stride=3, padding=0),
    feature5=dict(kernel_size=6, stride=1, padding=0),
)

pipeline = [
    dict(type='mmrot.LoadImage'),
    # one after the other, as in the source
    dict(
        type='mmpretrain.ResizeEdge',
        scale=256,
        edge='short',
        backend='pillow',
        interpolation='bilinear',
    ),
    dict(type='mmpretrain.Resize', scale=(224, 224), backend='pillow', interpolation='bilinear'),
    dict(type='mmpretrain.PackInputs'),
]
train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    dataset=dict(type='mmpretrain.VOC', data_root=data_root, split='trainval', pipeline=pipeline),
)
test_dataloader = dict(
    batch_size=64,
    num_workers=4,
    dataset=dict(type='mmpretrain.VOC', data_root=data_root, split='test', pipeline=pipeline),
)
