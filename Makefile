# The whole developer interface. `make run` and `make test` are all a newcomer needs.
PYTHON ?= python3
VENV   ?= .venv
DIR    ?= var
IMAP_PORT  ?= 1143
IMAPS_PORT ?= 1993
BIN    := $(VENV)/bin
TESTS  ?= tests
JOBS   ?= 2

.PHONY: help run test check format lint types interop bench docs clean

help:            ## this list
	@grep -hE '^[a-z]+: *.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[demo]'
	@touch $@

$(BIN)/.installed-dev: pyproject.toml $(BIN)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[demo,dev]'
	@touch $@

run: $(BIN)/.installed          ## a private instance under ./var, in the foreground, for whoever calls it
	@exec $(BIN)/python -I -m master.demo --dir $(DIR) --imap-port $(IMAP_PORT) --imaps-port $(IMAPS_PORT)

test: $(BIN)/.installed-dev     ## the whole suite (programs that are missing are visible skips)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(TESTS)

check: $(BIN)/.installed-dev    ## formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(BIN)/.installed-dev   ## put the source into its one form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only --quiet .

interop: $(BIN)/.installed-dev  ## only the tests with programs from outside
	$(BIN)/python -m pytest -m interop tests

bench: $(BIN)/.installed-dev    ## CPU per operation of the hot paths, beside Dovecot where it is installed
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench.auth

docs: $(BIN)/.installed         ## what is generated: docs/settings.md
	$(BIN)/python -I -m roost.settings.show > docs/settings.md

clean:           ## remove the virtual environment and the private instance
	rm -rf $(VENV) $(DIR)
