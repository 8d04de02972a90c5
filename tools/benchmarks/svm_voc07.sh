#!/usr/bin/env bash
. "$(dirname "$0")/../_python.sh" && exec "$PYTHON" -m mmrot.cli eval svm "$@"
