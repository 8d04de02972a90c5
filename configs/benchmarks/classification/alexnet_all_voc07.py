r"""VOC 2007 classification with AlexNet, all layers trained (Table 7).

    tools/benchmarks/voc07_classification.sh PRETRAINED.pth 1 \
        configs/benchmarks/classification/alexnet_all_voc07.py

Otherwise as alexnet_fc6_8_voc07.py.

Published (Table 7): RotNet 72.97, random 53.3, random rescaled 56.6 % mAP. Not run.
"""

_base_ = 'alexnet_fc6_8_voc07.py'

model = dict(backbone=dict(frozen_stages=-1))
tables = [dict(table='table7', metrics={'classification, all': 'voc07/mAP_area'})]
default_hooks = dict(result_table=dict(tables=tables))
