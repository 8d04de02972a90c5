# Two commands: `make demo` and `make test`.
#   PYTHON=...   interpreter to create the environment with; if it has torch, that one is used
#   VENV=...     directory of the environment
#   ARGS=...     arguments of pytest
#   WORKERS=...  number of test processes
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2

.PHONY: help demo test setup lint

help:
	@echo "make demo   set up the core in $(VENV) and train a small network on digits"
	@echo "make test   set up everything in $(VENV), then run ruff, mypy and pytest"

demo:
	@"$(PYTHON)" tools/setup_env.py core --venv "$(VENV)"
	@"$(VENV)/bin/python" tools/demo.py

setup:
	@"$(PYTHON)" tools/setup_env.py full --venv "$(VENV)"

lint: setup
	"$(VENV)/bin/ruff" check .
	"$(VENV)/bin/ruff" format --check .
	"$(VENV)/bin/mypy"

# one thread per worker: with more, the workers compete for the cores
test: lint
	OMP_NUM_THREADS=1 OPENCV_FOR_THREADS_NUM=1 "$(VENV)/bin/python" -m pytest \
		-n $(WORKERS) --dist worksteal $(ARGS)
