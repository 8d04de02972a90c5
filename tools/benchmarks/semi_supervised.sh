#!/usr/bin/env bash
# A classifier on block 2 of a NIN with K labelled images per class; see --help.
usage_more="One run for each K, in WORK_DIR/<K>per_class: 5000, 1000, 400, 100 and 20, or the one of
  --cfg-options train_dataloader.dataset.num_per_class=K; all together in WORK_DIR/table.json and table.md."
. "$(dirname "$0")/_eval.sh" "$0" "RotNet + conv with K labelled images per class, CIFAR-10 (figure 5b)." \
    classification/nin4_semi_supervised_cifar10.py "$@"
option=train_dataloader.dataset.num_per_class
counts="5000 1000 400 100 20" # what cannot be had fails first
for arg in "${args[@]}"; do
    [[ $arg != "$option="* ]] || counts=${arg#*=}
done
[[ $counts =~ [1-9] ]] || die "$option=$counts: expected a whole number, 1 or more"
for count in $counts; do
    evaluate "$work_dir/${count}per_class" --cfg-options "$option=$count"
done
# every K that was run for this checkpoint, now or before, in one table
runs=("$work_dir"/*per_class/results.json)
"$PYTHON" "$benchmarks/table.py" "${runs[@]}" --out "$work_dir"
