#!/usr/bin/env bash
# Semantic segmentation with a pretrained backbone; see --help.
usage_args="                model.decode_head.num_classes=11   and other changes of the config"
usage_more="Also: fcn_r50_d8_4xb4_20k_voc12aug.py, fcn_r50_d8_4xb2_40k_cityscapes.py, both in
  configs/benchmarks/segmentation. AlexNet's batch norm is absorbed, its weights are rescaled and
  fc6 and fc7 become convolutions, as its config asks."
. "$(dirname "$0")/_eval.sh" "$0" "Semantic segmentation with a pretrained backbone (Table 7)." \
    segmentation/fcn32s_alexnet_voc12.py "$@"
evaluate "$work_dir"
