#!/usr/bin/env bash
# Train on a Slurm cluster:
#   tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options of mmrot train]
# Jobs that save before their time limit and go on afterwards: docs/slurm.md.
# GPUS (8 in all), GPUS_PER_NODE (8), CPUS_PER_TASK (5), SRUN_ARGS, PYTHON.
if [ $# -lt 4 ]; then
    echo "usage: [GPUS=8 GPUS_PER_NODE=8 CPUS_PER_TASK=5 SRUN_ARGS=] $0 PARTITION JOB_NAME CONFIG WORK_DIR [OPTIONS...]" >&2
    exit 2
fi
exec "$(dirname "$0")/_slurm.sh" train.py "$1" "$2" "$3" --work-dir "$4" "${@:5}"
