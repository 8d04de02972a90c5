#!/usr/bin/env bash
# AlexNet's own layers behind conv4 and conv5 of a frozen AlexNet; see --help.
. "$(dirname "$0")/_eval.sh" "$0" "AlexNet's own layers behind conv4 and conv5 of a frozen AlexNet (Table 4)." \
    classification/alexnet_nonlinear_in1k.py "$@"
evaluate "$work_dir"
