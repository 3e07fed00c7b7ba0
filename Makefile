# make demo                 the examples through the codec, in an environment of its own without torch
# make test                 lint, types and the whole suite, in an environment of its own
# make test T=tests/rate    one room, one file or one test (T="tests/rate -k size") alone, without lint; J=4: in four processes
# make lint                 lint and types alone
# make format               puts the sources into shape, and mends what the linter can mend
# make docs                 writes docs/cli.md, docs/man and desktop/completions from the commands' help
# make wheel                builds the wheel in dist/, prints its contents and its bytes
# make bench                lists the benchmarks; make bench A="single --help" runs one
# make clean                removes both environments and what they made
#
# Needed: Python 3.11 or newer with venv, and a package index that pip can reach.
# PYTHON=...       chooses the interpreter
# TORCH_INDEX=...  an extra package index with CPU builds of torch (on Linux pip's default build brings CUDA along)

SHELL := /bin/sh
TORCH ?= torch==2.13.0
TORCH_INDEX ?=
T ?=
J ?=
A ?=

ifndef PYTHON
PYTHON := $(shell for python in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	then echo "$$python"; break; fi; done)
endif

PIP_OPTIONS := --quiet --disable-pip-version-check

.PHONY: help demo test lint format docs wheel bench clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# \{0,1\}//p' Makefile

demo: .venv-demo/ready
	@.venv-demo/bin/python -m pip install $(PIP_OPTIONS) --force-reinstall --no-deps .
	.venv-demo/bin/python examples/demo.py

# One room runs in this process: starting several takes longer than most rooms do.
ifeq ($(T),)
test: lint
	.venv/bin/python -m pytest -q -n $(or $(J),auto) --dist loadfile
else
test: .venv/ready
	.venv/bin/python -m pytest -q $(if $(J),-n $(J) --dist loadfile,-p no:xdist) $(T)
endif

lint: .venv/ready
	.venv/bin/python -m ruff check .
	.venv/bin/python -m mypy

format: .venv/ready
	.venv/bin/python -m ruff check --fix --exit-zero --quiet .
	.venv/bin/python -m ruff format .

docs: .venv/ready
	.venv/bin/python scripts/write_docs.py

wheel: .venv/ready
	@rm -rf dist
	@.venv/bin/python -m pip wheel $(PIP_OPTIONS) --no-deps --no-build-isolation --wheel-dir dist .
	@.venv/bin/python -m zipfile --list dist/ltokc-*.whl
	@wc -c dist/ltokc-*.whl

bench: .venv/ready
	.venv/bin/python -m bench $(A)

.venv-demo/ready: pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer with venv and ensurepip found; set PYTHON=..." >&2; exit 1; }
	rm -rf .venv-demo
	$(PYTHON) -m venv .venv-demo
	.venv-demo/bin/python -m pip install $(PIP_OPTIONS) ".[cpu]"
	@touch $@

.venv/ready: pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer with venv and ensurepip found; set PYTHON=..." >&2; exit 1; }
	rm -rf .venv
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install $(PIP_OPTIONS) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) "$(TORCH)"
	.venv/bin/python -m pip install $(PIP_OPTIONS) -e ".[cpu,dev]"
	@touch $@

clean:
	rm -rf .venv .venv-demo build dist examples/out .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find ltokc bench tests examples scripts -name __pycache__ -type d -prune -exec rm -rf {} +
