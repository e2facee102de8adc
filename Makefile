# make demo and make test need Python 3.11 or newer, git and make; everything else is set up here.
PYTHON ?= $(firstword $(shell command -v python3.11 python3.12 python3))
VENV := .venv
BIN := $(VENV)/bin
DEMO := out/demo

# An editable install links the files that exist; a new module calls for a new install.
FILES := $(shell find loader schemas stages pipeline -type f ! -name '*.pyc' | LC_ALL=C sort | cksum | cut -d ' ' -f 1)
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -C editable_mode=strict
BASE := $(VENV)/.pipeline-$(FILES)
DEV := $(VENV)/.dev-$(FILES)

.DEFAULT_GOAL := help
.PHONY: help demo install test lint check format bench clean

help:  ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*## */\t/' | expand -t 10

$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)

$(BASE): pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing Premask and what its pipeline needs into $(VENV) ..."
	@rm -f $(VENV)/.pipeline-* $(VENV)/.dev-*
	@$(INSTALL) -e ".[pipeline]"
	@touch $@

$(DEV): $(BASE)
	@echo "Installing what the tests need into $(VENV) ..."
	@$(INSTALL) -e ".[dev]"
	@touch $@

install: $(DEV)  ## set up .venv with everything that development needs

demo: $(BASE)  ## the sample corpus: build, verify, audit, and look at masked rows
	@PATH="$(abspath $(BIN)):$$PATH" sh examples/demo.sh $(DEMO)

test: $(DEV)  ## the test suite
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile $(ARGS)

lint: $(DEV)  ## format, lint and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy -p premask
	@$(BIN)/mypy tests benchmarks
	@MYPYPATH=training $(BIN)/mypy training

check: lint test  ## lint, then the tests

format: $(DEV)  ## rewrite the code in the project's style
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(DEV)  ## ratios of loading and masking; the other scripts want data of yours
	@set -e; for name in loader masking; do $(BIN)/python -m "benchmarks.$$name"; done

clean:  ## remove what was built here; keeps .venv
	@rm -rf out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@rm -f $(VENV)/.pipeline-* $(VENV)/.dev-*
