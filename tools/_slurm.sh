#!/usr/bin/env bash
# Shared by slurm_train.sh and slurm_test.sh:
#   _slurm.sh SCRIPT PARTITION JOB_NAME ARGS...
set -euo pipefail

script=$1 partition=$2 job=$3
shift 3
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$tools/_python.sh"

integer() { # NAME VALUE LEAST
    [[ $2 =~ ^[0-9]{1,6}$ ]] && [ "$2" -ge "$3" ] ||
        die "$1=$2 is not an integer of at least $3."
}

gpus=${GPUS:-8} per_node=${GPUS_PER_NODE:-8} cpus=${CPUS_PER_TASK:-5}
integer GPUS "$gpus" 1
integer GPUS_PER_NODE "$per_node" 0 # 0: a partition without GPUS
integer CPUS_PER_TASK "$cpus" 1
command -v srun >/dev/null || die "srun was not found: this is not a Slurm cluster."
resources=()
if [ "$per_node" -gt 0 ]; then
    resources=(--gres="gpu:$per_node" --ntasks-per-node="$per_node")
fi
# SRUN_ARGS is split into words on purpose
# shellcheck disable=SC2086
exec srun -p "$partition" --job-name="$job" "${resources[@]}" --ntasks="$gpus" \
    --cpus-per-task="$cpus" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
    "$PYTHON" -u "$tools/$script" "$@" --launcher slurm
