#!/usr/bin/env bash
# VOC 2007 classification with a pretrained AlexNet; see --help.
usage_more="Also: alexnet_all_voc07.py in configs/benchmarks/classification, which trains every layer.
  AlexNet's batch norm is absorbed and its weights are rescaled, as the configs ask. Photos in
  --labelled-folder have one class each: softmax takes the place of a sigmoid for each class."
. "$(dirname "$0")/_eval.sh" "$0" "VOC 2007 classification with a pretrained AlexNet (Table 7)." \
    classification/alexnet_fc6_8_voc07.py "$@"
evaluate "$work_dir"
