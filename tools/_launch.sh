#!/usr/bin/env bash
# What the four launchers share; not to be called by itself.
#   _launch.sh dist  SCRIPT GPUS ARGS...
#   _launch.sh slurm SCRIPT PARTITION JOB_NAME ARGS...
set -euo pipefail

how=$1 script=$2
shift 2
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$tools/_python.sh"

number() { # NAME VALUE LEAST MOST
    [[ $2 =~ ^[0-9]{1,6}$ ]] && [ "$2" -ge "$3" ] && [ "$2" -le "${4:-999999}" ] ||
        die "$1=$2: expected a whole number, $3 ${4:+to }${4:-or more}"
}

case $how in
dist)
    gpus=$1
    shift
    nnodes=${NNODES:-1} node_rank=${NODE_RANK:-0} port=${PORT:-29500}
    number GPUS "$gpus" 1
    number NNODES "$nnodes" 1
    number NODE_RANK "$node_rank" 0
    number PORT "$port" 1 65535
    have=$("$PYTHON" -c 'import torch; print(torch.cuda.device_count())' 2>/dev/null) ||
        die "$PYTHON cannot import torch: run 'make demo' once, or set PYTHON"
    if [ "$have" -eq 0 ]; then
        echo "No GPU here: $gpus process(es) run on the CPU, with gloo." >&2
    elif [ "$have" -lt "$gpus" ]; then
        die "GPUS=$gpus: this machine has $have"
    fi
    exec "$PYTHON" "$tools/_torchrun.py" \
        --nnodes="$nnodes" --node_rank="$node_rank" --nproc_per_node="$gpus" \
        --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="$port" \
        "$tools/$script" "$@" --launcher pytorch
    ;;
slurm)
    partition=$1 job=$2
    shift 2
    gpus=${GPUS:-8} per_node=${GPUS_PER_NODE:-8} cpus=${CPUS_PER_TASK:-5}
    number GPUS "$gpus" 1
    number GPUS_PER_NODE "$per_node" 0 # 0: a partition without GPUS
    number CPUS_PER_TASK "$cpus" 1
    command -v srun >/dev/null || die "no srun here: expected a Slurm cluster"
    resources=()
    if [ "$per_node" -gt 0 ]; then
        resources=(--gres="gpu:$per_node" --ntasks-per-node="$per_node")
    fi
    # SRUN_ARGS is split into words on purpose
    # shellcheck disable=SC2086
    exec srun -p "$partition" --job-name="$job" "${resources[@]}" --ntasks="$gpus" \
        --cpus-per-task="$cpus" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
        "$PYTHON" -u "$tools/$script" "$@" --launcher slurm
    ;;
esac
