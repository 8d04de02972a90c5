"""VOC 2007 classification with AlexNet, every layer trained (Table 7).

    tools/benchmarks/voc07_classification.sh PRETRAINED.pth 1 \
        configs/benchmarks/classification/alexnet_all_voc07.py

All else as in alexnet_fc6_8_voc07.py.

Published: RotNet 72.97, random 53.3, random rescaled 56.6 % mAP. With this code:
not run.
"""

_base_ = 'alexnet_fc6_8_voc07.py'

model = dict(backbone=dict(frozen_stages=-1))
custom_hooks = [
    {{_base_.load_backbone}},
    dict(
        type='mmrot.ResultTableHook',
        tables=[
            dict(
                table='table7',
                metrics={'classification, all': 'voc07/mAP'},
            )
        ],
    ),
]
