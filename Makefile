# Every target works on a fresh machine with Python 3.11 or newer, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up

# Many processes start in the tests, and each would compile the program anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-faults check screenshots bench build clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) ## Make .venv with the program, the embedded archive and the developers' tools

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; set PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]' --group dev
	@touch $(STAMP)

demo: setup ## Try everything on the embedded archive (a tour where there is no terminal)
	$(BIN)/maap demo

test: setup ## Run the tests
	$(BIN)/python -m pytest -q --numprocesses auto --dist worksteal --tb=native

test-faults: setup ## Run the long tests of faults and crashes, about ten minutes
	@failed=0; \
	$(BIN)/python -m pytest -q -m 'long and not alone' --numprocesses auto --dist worksteal --tb=native tests/faults || failed=1; \
	$(BIN)/python -m pytest -q -m 'long and alone' --tb=native tests/faults || failed=1; \
	exit $$failed

check: setup ## Lint, check types and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_imports.py

screenshots: setup ## Draw the pictures of the README anew
	$(BIN)/python screenshots/take.py

bench: setup ## Measure; prints tables, peers beside where they are installed
	@for script in bench/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

build: setup ## Build the wheel and the source archive into dist/
	$(BIN)/python -m pip install --quiet --disable-pip-version-check build
	$(BIN)/python -m build --outdir dist .

clean: ## Remove what the other targets made
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis snapshot_report.html
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
