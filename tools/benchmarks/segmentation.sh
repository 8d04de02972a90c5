#!/usr/bin/env bash
# Semantic segmentation with a pretrained backbone; see --help.
usage_args="                data of your own: a config like the one in docs/segmentation.md"
usage_more="Also: fcn_r50_d8_4xb4_20k_voc12aug.py, fcn_r50_d8_4xb2_40k_cityscapes.py, both in
  configs/benchmarks/segmentation. AlexNet's batch norm is absorbed, its weights are rescaled and
  fc6 and fc7 become convolutions, as its config asks."
. "$(dirname "$0")/_eval.sh" "$0" "Semantic segmentation with a pretrained backbone (Table 7)." \
    segmentation/fcn32s_alexnet_voc12.py "$@"
evaluate "$work_dir"
