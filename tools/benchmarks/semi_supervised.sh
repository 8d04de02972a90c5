#!/usr/bin/env bash
# A classifier on block 2 of a NIN with K labelled images per class; see --help.
usage_more="One run for each K, in WORK_DIR/<K>per_class: 20, 100, 400, 1000 and 5000, or the one of
  --cfg-options train_dataloader.dataset.num_per_class=K"
. "$(dirname "$0")/_eval.sh" "$0" "RotNet + conv with K labelled images per class, CIFAR-10 (figure 5b)." \
    nin4_semi_supervised_cifar10.py "$@"
option=train_dataloader.dataset.num_per_class
counts="20 100 400 1000 5000"
for arg in "${args[@]}"; do
    [[ $arg != "$option="* ]] || counts=${arg#*=}
done
runs=()
for count in $counts; do
    runs+=("$work_dir/${count}per_class")
    evaluate "${runs[-1]}" --cfg-options "$option=$count"
done
"$PYTHON" "$benchmarks/table.py" "${runs[@]}" --out "$work_dir"
