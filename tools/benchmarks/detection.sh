#!/usr/bin/env bash
# Object detection with a pretrained backbone; see --help.
usage_args="                model.roi_head.bbox_head.num_classes=1   and other changes of the config"
usage_more="Also: fast_rcnn_alexnet_voc07.py, the paper's, on proposals of tools/selective_search.py;
  faster_rcnn_r50_c4_24k_voc0712.py; mask_rcnn_r50_fpn_1x_coco.py. All in configs/benchmarks/detection.
  AlexNet's batch norm is absorbed and its weights are rescaled, as its configs ask."
. "$(dirname "$0")/_eval.sh" "$0" "Object detection with a pretrained backbone (Tables 7 and 8)." \
    detection/faster_rcnn_alexnet_voc07.py "$@"
evaluate "$work_dir"
