"""Linear SVMs on few images of VOC 2007, feature4 of ResNet-50.

    tools/benchmarks/svm_lowshot.sh PRETRAINED.pth

Trained on k positives and 19k negatives per class, 5 draws. The published results use the
cost that is best on the test images; results with the cost chosen on training images that
were not drawn are reported as well. Otherwise as resnet50_svm_voc07.py.

Published (ResNet-50 model page), k = 1, 2, 4, 8, 16, 32, 64, 96: 20.60, 24.35, 31.41,
39.17, 46.56, 53.37, 59.14, 62.42 % mAP. With this code: not run.
"""

_base_ = 'resnet50_svm_voc07.py'

model = dict(
    backbone=dict(out_indices=(3,)),
    head=dict(
        probes=dict(
            _delete_=True,
            feature4=dict(type='mmrot.LinearProbe', in_channels=1024, pool_size=3, pool='avg'),
        )
    ),
)
