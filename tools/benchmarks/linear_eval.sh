#!/usr/bin/env bash
# Linear classifiers on the layers of a frozen backbone; see --help.
. "$(dirname "$0")/_eval.sh" "$0" "Linear classifiers on the layers of a frozen backbone (Tables 5 and 6)." \
    classification/alexnet_linear_in1k.py "$@"
evaluate "$work_dir"
