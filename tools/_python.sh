# shellcheck shell=bash
# Sourced by the other scripts: the function `die`, and PYTHON, the interpreter.
die() {
    echo "mmrot: error: $*" >&2
    exit 2
}

# Outside any environment, use the one that `make` created.
if [ -z "${PYTHON:-}" ]; then
    PYTHON=python
    venv=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.venv
    if [ -z "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ] && [ -x "$venv/bin/python" ]; then
        PYTHON="$venv/bin/python"
    fi
fi
command -v "$PYTHON" >/dev/null || die "PYTHON=$PYTHON is not a Python interpreter."
