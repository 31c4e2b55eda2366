# Every target works on a fresh machine with Python 3.11 or newer, make and git.
PYTHON ?= python3
VENV ?= .venv
# The exact version of every package; empty (LOCK=) takes the newest that pyproject.toml permits.
LOCK ?= constraints.txt
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet $(addprefix --constraint=,$(LOCK))

# Many processes start in the tests, and each would compile the program again.
unexport PYTHONDONTWRITEBYTECODE

BENCHES := downloads search start registry sync app terminal_bytes brute_force overpass cut growth queueing poor_line workers model faults

.DEFAULT_GOAL := help
.PHONY: help setup setup-interop lock demo test test-interop test-newest test-pythons test-install test-long test-faults check docs \
  screenshots setup-bench bench build man clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) ## Make .venv with the program, its extras and the developers' tools

$(STAMP): pyproject.toml $(LOCK)
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; set PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(PIP) 'pip>=25.3'
	$(PIP) $(addprefix --build-constraint=,$(LOCK)) --editable '.[demo,fsspec,hdf5,pandas,parquet,pictures,s3,socks,xarray]' --group dev
	@touch $(STAMP)

# Run it with the oldest Python that is supported: what is newest there installs on the others too.
lock: ## Renew constraints.txt and constraints-docs.txt: the newest versions that pyproject.toml permits
	rm -rf $(VENV)/lock
	$(MAKE) setup VENV=$(VENV)/lock LOCK=
	$(VENV)/lock/bin/python -m pip --disable-pip-version-check install --quiet hatchling editables
	echo '# The exact version of every package that `make setup` installs. Renewed by `make lock`.' >$(VENV)/lock/new
	$(VENV)/lock/bin/python -m pip --disable-pip-version-check freeze --all --exclude-editable \
	  --exclude setuptools >>$(VENV)/lock/new
	mv $(VENV)/lock/new constraints.txt
	$(PYTHON) -m venv --without-pip $(VENV)/lock/docs
	$(VENV)/lock/bin/python -m pip --python $(VENV)/lock/docs --disable-pip-version-check install --quiet --group docs
	echo '# The exact version of every package that `make docs` installs. Renewed by `make lock`.' >$(VENV)/lock/new
	$(VENV)/lock/bin/python -m pip --python $(VENV)/lock/docs --disable-pip-version-check freeze --all >>$(VENV)/lock/new
	mv $(VENV)/lock/new constraints-docs.txt
	rm -rf $(VENV)/lock

demo: setup ## Try everything on the embedded archive (a tour where there is no terminal)
	$(BIN)/maap demo

test: setup ## Run the tests
	$(BIN)/python -m pytest -q --numprocesses auto --dist worksteal --tb=native

# What a new release draws is seen in the pictures when the lock is renewed; here it has to work. Where the same
# packages are in the environment that `make test` runs in, there is nothing more to learn.
test-newest: setup ## Run the tests, without the pictures, on the newest packages that pyproject.toml permits
	rm -rf $(VENV)/newest
	$(MAKE) setup VENV=$(VENV)/newest LOCK=
	@for own in $(VENV) $(VENV)/newest; do \
	  { $$own/bin/python -V && $$own/bin/python -m pip freeze --all --exclude-editable; } >$$own/packages || exit 1; \
	done
	@if diff $(VENV)/packages $(VENV)/newest/packages; then \
	  echo 'The newest packages that pyproject.toml permits are those that `make test` runs on: nothing to test.'; \
	else \
	  $(VENV)/newest/bin/python -m pytest -q --numprocesses auto --dist worksteal --tb=native \
	    --ignore=tests/tui/test_snapshots.py; \
	fi

test-pythons: setup ## Run the engine's and the real terminal's tests on each other Python found
	$(PYTHON) tests/pythons.py $(VENV)

test-install: setup ## Install the program alone, as its users do, and run it
	rm -rf $(VENV)/plain
	$(PYTHON) -m venv $(VENV)/plain
	$(BIN)/python -m build --outdir $(VENV)/plain/dist . >/dev/null
	$(VENV)/plain/bin/python -m pip --disable-pip-version-check install --quiet $(VENV)/plain/dist/*.whl
	MAAP_PLAIN_BIN="$(abspath $(VENV)/plain/bin)" $(BIN)/python -m pytest -q --tb=native tests/test_install.py

# Their packages never meet ours: what they need decides nothing of what we run with.
setup-interop: $(VENV)/interop/.set-up ## Install the servers that others wrote, in .venv/interop

$(VENV)/interop/.set-up: tests/interop/requirements.txt | $(STAMP)
	rm -rf $(VENV)/interop
	$(PYTHON) -m venv $(VENV)/interop
	$(VENV)/interop/bin/python -m pip --disable-pip-version-check install --quiet -r $<
	@touch $@

test-interop: setup-interop ## Run the commands against servers that others wrote; needs PostgreSQL with PostGIS
	$(BIN)/python -m pytest -q --tb=native -m interop tests/interop

test-long: setup ## Run the long tests: faults, crashes, the app, generated input; about twenty minutes
	@failed=0; \
	$(BIN)/python -m pytest -q -m 'long and not alone' --numprocesses auto --dist worksteal --tb=native \
	  tests/faults tests/tui tests/engine tests/demo tests/test_bench.py || failed=1; \
	$(BIN)/python -m pytest -q -m 'long and alone' --tb=native tests/faults || failed=1; \
	$(BIN)/python -m pytest -q -m hypothesis --hypothesis-profile=whole --tb=native || failed=1; \
	exit $$failed

test-faults: test-long # Its older name

check: setup ## Lint, check types, dead code and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/vulture
	$(BIN)/python -m pytest -q tests/test_imports.py

# What the site needs is in an environment of its own: nothing that runs or tests the program depends on it.
$(VENV)/docs/.set-up: pyproject.toml constraints-docs.txt | $(STAMP)
	rm -rf $(VENV)/docs
	$(PYTHON) -m venv --without-pip $(VENV)/docs
	$(BIN)/python -m pip --python $(VENV)/docs --disable-pip-version-check install --quiet \
	  --constraint constraints-docs.txt --group docs
	@touch $@

# The theme warns of its successor at each build.
docs: $(VENV)/docs/.set-up ## Build the site from docs/ into site/; a warning or a dead link fails
	NO_MKDOCS_2_WARNING=1 $(VENV)/docs/bin/python -m mkdocs build --strict --clean

screenshots: setup ## Draw the pictures of the README and of docs/ again
	$(BIN)/python screenshots/take.py

setup-bench: setup ## Install what `make bench` compares with, as far as that can be done here
	$(BIN)/python bench/kit/peers.py

# Options of a script go into ARGS, such as ARGS='--rounds 3'; all of them take --quick.
bench: setup-bench ## Measure everything, which takes hours; `make bench-NAME` runs bench/NAME.py alone
	@failed=0; for name in $(BENCHES); do $(BIN)/python bench/$$name.py $(ARGS) || failed=1; done; exit $$failed

bench-%: setup-bench
	$(BIN)/python bench/$*.py $(ARGS)

build: setup ## Build the wheel and the source archive into dist/
	$(BIN)/python -m build --outdir dist .

man: setup ## Write the manual pages into build/man/man1
	$(BIN)/python -m maap_tui.cli.man build/man/man1

clean: ## Remove what the other targets made
	rm -rf $(VENV) dist build site .pytest_cache .mypy_cache .ruff_cache .hypothesis snapshot_report.html
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
