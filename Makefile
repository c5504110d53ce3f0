# The words: run check test bench soak audit, and lock and clean. CI says the same ones.
# They need git, make and a python3 (3.11 or later) with venv; every other thing is pinned by hash.

PYTHON ?= python3
ARGS ?=
PYTEST_WORKERS ?= 3
PYTEST_ARGS ?= -m "not soak" -n $(PYTEST_WORKERS) --dist loadfile --cov
BENCH_ARGS ?=

BIN := .venv/bin
TOOLS := .venv-tools/bin
SOURCES := $(wildcard client service tests bench examples)
LOCKS := service test build tools

# Where a mistake lets a dead token live, every branch is tested.
GATED := quash/verdict.py quash/parse.py quash_service/rotation.py quash_service/store/*

PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
PINNED := $(PIP_INSTALL) --require-hashes --no-deps

.PHONY: run check test bench soak audit lock clean

run: .venv/.service
	exec $(BIN)/quash serve $(ARGS)

check: .venv/.test
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports --no-cache

test: .venv/.test
	$(BIN)/pytest $(PYTEST_ARGS)
	set -ef; for part in $(GATED); do \
	  $(BIN)/coverage report --include="*/$$part" --fail-under=100; \
	done

bench: .venv/.test
	$(BIN)/python -m bench $(BENCH_ARGS)

soak: .venv/.test
	$(BIN)/pytest -m soak $(ARGS)

# Strict: a package that could not be looked up is a failure, not a pass.
audit: .venv-tools/.done
	set -e; for name in $(LOCKS); do \
	  $(TOOLS)/pip-audit --strict --require-hashes --disable-pip --requirement requirements/$$name.txt; \
	done

lock: .venv-tools/.done
	set -e; for name in $(LOCKS); do \
	  $(TOOLS)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe \
	    --no-header --no-annotate --no-emit-options --no-emit-find-links \
	    --no-emit-index-url --no-emit-trusted-host \
	    --output-file requirements/$$name.txt requirements/$$name.in $(ARGS); \
	done

clean:
	rm -rf .venv .venv-tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* dist
	find client service tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps: each says that what it is named after is installed as the lock has it.
.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "quash needs Python 3.11 or later: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.service: .venv/.made requirements/service.txt requirements/build.txt pyproject.toml
	$(BIN)/python $(PINNED) --requirement requirements/service.txt --requirement requirements/build.txt
	$(BIN)/python $(PIP_INSTALL) --no-index --no-build-isolation --no-deps --editable .
	@touch $@

.venv/.test: .venv/.service requirements/test.txt
	$(BIN)/python $(PINNED) --requirement requirements/test.txt
	@touch $@

.venv-tools/.done: requirements/tools.txt
	$(PYTHON) -m venv .venv-tools
	$(TOOLS)/python $(PINNED) --requirement requirements/tools.txt
	@touch $@
