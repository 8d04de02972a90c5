#!/usr/bin/env bash
# The paper's CIFAR-10 study; see --help.
set -euo pipefail
. "$(dirname "$0")/_python.sh"
exec "$PYTHON" "$(dirname "$0")/reproduce_cifar10.py" "$@"
