#!/usr/bin/env bash
# Train on the GPUs of one or several nodes:
#   tools/dist_train.sh CONFIG GPUS [options of mmrot train]
# Several nodes: NNODES, NODE_RANK, MASTER_ADDR, PORT. Interpreter: PYTHON.
if [ $# -lt 2 ]; then
    echo "usage: [NNODES=1 NODE_RANK=0 MASTER_ADDR=127.0.0.1 PORT=29500] $0 CONFIG GPUS [OPTIONS...]" >&2
    exit 2
fi
. "$(dirname "$0")/_python.sh" && exec "$PYTHON" "$(dirname "$0")/train.py" "$1" --gpus "$2" "${@:3}"
