# Everything a newcomer or a CI needs, from nothing but Python >= 3.12. Each verb says what it does: make help
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3 python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(not (3, 12) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
STAMP := .venv/.installed
# More than the two cores: the end-to-end tests wait for Dagster's clocks most of the time.
WORKERS ?= 3
# Every Dagster run, command and test worker is a new process: what one compiles is kept for the next, also where the
# environment says otherwise.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup demo test lint types imports format up down status constraints clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) ## create .venv with everything in it (a second time: nothing to do)

# uv installs in seconds what takes pip a minute; where it cannot be had, pip does the same. Byte code is compiled now,
# because every Dagster run is a new process and would pay for it again and again.
$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.12 or 3.13 is needed; none of python3, python3.12, python3.13 is one."; exit 1; }
	@echo "Setting up .venv with $$($(PYTHON) --version) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv || true
	@if [ -x $(BIN)/uv ]; then \
		$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -c constraints.txt -e . --group dev; \
	else \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e . \
			$$($(BIN)/python -c 'import tomllib; print(*(each.replace(" ", "") for each in tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"]))') && \
		$(BIN)/python -m compileall -q .venv/lib >/dev/null || true; \
	fi
	@$(BIN)/python -m compileall -q vcon_platform assets resources sensors
	@$(BIN)/vcon-platform init
	@touch $(STAMP)

demo: setup ## eight sample calls, from a switch's spool folder to rows in Postgres
	@$(BIN)/vcon-platform demo

test: setup ## the whole suite, end-to-end tests included
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: setup ## style and formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: setup ## static types
	@$(BIN)/mypy

imports: setup ## which room may import which
	@$(BIN)/lint-imports

format: setup ## format and fix what can be fixed
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

up: setup ## start everything and stay (Ctrl-C stops)
	@$(BIN)/vcon-platform up

down: setup ## stop everything
	@$(BIN)/vcon-platform down

status: setup ## what runs
	@$(BIN)/vcon-platform status

constraints: setup ## write constraints.txt anew from what is installed
	@{ sed -n '/^#/p' constraints.txt; $(BIN)/uv pip freeze --python $(BIN)/python --exclude-editable; } > .constraints.new
	@mv .constraints.new constraints.txt

# Root's Postgres may have its data outside the checkout (it says so when it starts); then they are noted there.
clean: ## stop everything, then remove .venv and all run-time data
	@if [ -x $(BIN)/vcon-platform ]; then $(BIN)/vcon-platform down; fi
	@if [ -f dagster_home/data/run/postgres_home ]; then rm -rf "$$(cat dagster_home/data/run/postgres_home)"; fi
	rm -rf .venv dagster_home/data
