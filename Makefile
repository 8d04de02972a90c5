# Two commands: `make demo` and `make test`.
#   PYTHON=...      interpreter to create the environment with; if it has torch, that one is used
#   VENV=...        directory of the environment
#   ARGS=...        arguments of pytest
#   WORKERS=...     number of test processes
#   STACK=upstream  test the core with OpenMMLab's own packages, in a second environment
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2

.PHONY: help demo test test- test-upstream setup lint

help:
	@echo "make demo   set up the core in $(VENV) and train a small network on digits"
	@echo "make test   set up everything in $(VENV), then run ruff, mypy and pytest"
	@echo "make test STACK=upstream   test the core with OpenMMLab's own packages"

demo:
	@"$(PYTHON)" tools/setup_env.py core --venv "$(VENV)"
	@"$(VENV)/bin/python" tools/demo.py

setup:
	@"$(PYTHON)" tools/setup_env.py full --venv "$(VENV)"

lint: setup
	"$(VENV)/bin/ruff" check .
	"$(VENV)/bin/ruff" format --check .
	"$(VENV)/bin/mypy"

test: test-$(STACK)

# one thread per worker: with more, the workers compete for the cores
PYTEST = -m pytest -n $(WORKERS) --dist worksteal
test- test-upstream: export OMP_NUM_THREADS = 1
test- test-upstream: export OPENCV_FOR_THREADS_NUM = 1

test-: lint
	"$(VENV)/bin/python" $(PYTEST) $(ARGS)

test-upstream:
	@"$(PYTHON)" tools/setup_env.py core --venv "$(VENV)"
	@"$(VENV)/bin/python" tools/setup_env.py upstream --venv "$(VENV)-upstream"
	"$(VENV)-upstream/bin/python" $(PYTEST) $(ARGS)
