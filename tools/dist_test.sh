#!/usr/bin/env bash
# Test on the GPUs of one or several nodes:
#   tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of tools/test.py]
# Several nodes: NNODES, NODE_RANK, MASTER_ADDR, PORT. Interpreter: PYTHON.
if [ $# -lt 3 ]; then
    echo "usage: [NNODES=1 NODE_RANK=0 MASTER_ADDR=127.0.0.1 PORT=29500] $0 CONFIG CHECKPOINT GPUS [ARGS...]" >&2
    exit 2
fi
exec "$(dirname "$0")/_launch.sh" dist test.py "$3" "$1" "$2" "${@:4}"
