"""kNN on the average-pooled features of ResNet-50, ImageNet.

    tools/benchmarks/knn.sh PRETRAINED.pth

The bank is the training set, each image resized to 256 and cropped to the central
224×224. Cosine similarity, votes weighted by exp(similarity / 0.07).

Published (ResNet-50 model page), k = 10, 20, 100, 200: 11.0, 11.9, 12.6, 12.4 %.
With this code: not run.
"""

_base_ = [
    '../../_base_/models/avgpool_resnet50.py',
    '../../_base_/datasets/imagenet_224.py',
    '../../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=256)
val_dataloader = dict(batch_size=256)
test_dataloader = dict(batch_size=256)
