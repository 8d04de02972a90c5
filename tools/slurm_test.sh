#!/usr/bin/env bash
# Test on a Slurm cluster:
#   tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [options of mmrot test]
# GPUS (8 in all), GPUS_PER_NODE (8), CPUS_PER_TASK (5), SRUN_ARGS, PYTHON.
if [ $# -lt 4 ]; then
    echo "usage: [GPUS=8 GPUS_PER_NODE=8 CPUS_PER_TASK=5 SRUN_ARGS=] $0 PARTITION JOB_NAME CONFIG CHECKPOINT [OPTIONS...]" >&2
    exit 2
fi
exec "$(dirname "$0")/_slurm.sh" test.py "$1" "$2" "$3" "$4" "${@:5}"
