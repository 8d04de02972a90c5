#!/usr/bin/env bash
# Classifiers on the blocks of a NIN, CIFAR-10; see --help.
. "$(dirname "$0")/_eval.sh" "$0" "Classifiers on the blocks of a NIN, CIFAR-10 (Tables 1 and 3)." \
    classification/nin4_nonlinear_cifar10.py "$@"
evaluate "$work_dir"
