# Two commands: `make demo` and `make test`.
#   PYTHON=...  the interpreter to start from; one that has torch lends it
#   VENV=...    the environment to make or to use
PYTHON ?= python3
VENV ?= .venv

.PHONY: help demo test setup lint

help:
	@echo "make demo   set up the core in $(VENV) and watch a network learn rotations"
	@echo "make test   set up everything in $(VENV), then ruff, mypy and pytest"

demo:
	@"$(PYTHON)" tools/setup_env.py core --venv "$(VENV)"
	@"$(VENV)/bin/python" tools/demo.py

setup:
	@"$(PYTHON)" tools/setup_env.py full --venv "$(VENV)"

lint: setup
	"$(VENV)/bin/ruff" check .
	"$(VENV)/bin/ruff" format --check .
	"$(VENV)/bin/mypy"

test: lint
	"$(VENV)/bin/python" -m pytest $(ARGS)
