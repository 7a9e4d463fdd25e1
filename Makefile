# Every target does its own set-up: a virtual environment in .venv with the pinned dependencies of the lock files.

# Without bytecode files, each test worker and each process that a test starts would compile everything again.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip -qq --disable-pip-version-check
COMPAT := .venv-compat
TABLES := .venv-tables
WS_VERSION := 8.23.0
BIOME_VERSION := 2.6.8
AXE_VERSION := 4.14.1
KOSOKU_VERSION := 0.1.0

# Five workers for the whole, none for what ARGS chooses. One that hangs or crashes ends the run.
SIDE_BY_SIDE := -n auto --dist loadfile --no-loadscope-reorder --max-worker-restart 0

# Copies of the lock files, made once their contents are installed, so an unchanged lock costs nothing.
RUNTIME := $(VENV)/requirements.lock
DEVELOPMENT := $(VENV)/requirements-dev.lock
NODE := $(VENV)/node/ws-$(WS_VERSION)-biome-$(BIOME_VERSION)-axe-$(AXE_VERSION)
BIOME := $(VENV)/node/node_modules/.bin/biome
KOSOKU := $(VENV)/kosoku-$(KOSOKU_VERSION)

# The marks are those of tests/costs.py.
IN_PROCESS := not attack and not browser and not process

# Without Node.js, JavaScript and CSS are neither checked nor formatted.
biome = @if [ -x $(BIOME) ]; then set -x; $(BIOME) $(1); else echo "No Node.js here: JavaScript and CSS are left alone"; fi

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run dev cluster test verify test-fast coverage check format bench soak compat screenshots lock clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(RUNTIME)  ## start the app on http://127.0.0.1:8080 (set-up included)
	@exec $(PYTHON) main.py

dev: $(DEVELOPMENT)  ## the app, started again whenever a file of it changes; ARGS="--port 8081" is for the app
	@exec $(PYTHON) -m tests.dev $(ARGS)

cluster: $(DEVELOPMENT)  ## a bus, two ingests, two edges and a balancer here; ARGS="--exchange binance" for real prices
	@sh tests/install_haproxy.sh $(VENV)/haproxy
	@exec $(PYTHON) -m tests.cluster $(ARGS)

test: $(DEVELOPMENT) $(NODE) $(KOSOKU)  ## run the tests, in a real browser too; ARGS="-k name" chooses
	@sh tests/install_chromium.sh $(PYTHON)
	@sh tests/install_nginx.sh $(VENV)/nginx
	@sh tests/install_promtool.sh $(VENV)/promtool
	@sh tests/install_haproxy.sh $(VENV)/haproxy
	$(PYTHON) -m pytest $(SIDE_BY_SIDE) $(ARGS)

verify: $(DEVELOPMENT) $(NODE) $(KOSOKU) $(TABLES)/requirements.lock  ## the long tests, with a report; ARGS="-k name" chooses
	$(PYTHON) -m pytest -m verify -rP -o faulthandler_timeout=900 $(ARGS)

test-fast: $(DEVELOPMENT)  ## the tests without browser, attack, process or long wait; ARGS as for `make test`
	$(PYTHON) -m pytest $(SIDE_BY_SIDE) -n 4 -m "$(IN_PROCESS) and not long and not serial" $(ARGS)

coverage: $(DEVELOPMENT)  ## lines and branches that the tests in this process reach, by package, with a floor
	$(VENV)/bin/coverage run -m pytest -m "$(IN_PROCESS)" $(ARGS)
	@$(VENV)/bin/coverage json --quiet -o $(VENV)/coverage.json
	@$(PYTHON) -m tests.coverage_floors $(VENV)/coverage.json

check: $(DEVELOPMENT) $(NODE)  ## ruff, mypy --strict, import contracts, codespell; biome for JavaScript and CSS
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy livemarkets pages tests deploy clients/python/livemarkets_client $(wildcard benchmarks) main.py
	$(VENV)/bin/lint-imports
	$(VENV)/bin/codespell
	$(call biome,check --error-on-warnings)

format: $(DEVELOPMENT) $(NODE)  ## mend what ruff and biome can mend: formats, imports, simple findings
	$(VENV)/bin/ruff check --fix-only .
	$(VENV)/bin/ruff format .
	$(call biome,check --write --linter-enabled=false)

bench: $(RUNTIME)  ## run the benchmarks and print their tables
	$(PYTHON) -m benchmarks $(ARGS)

soak: $(DEVELOPMENT)  ## a campaign of faults with a report; ARGS="--seed 7 --faults 5000 --seconds 3600" chooses
	$(PYTHON) -m tests.soak $(ARGS)

compat: $(DEVELOPMENT) $(COMPAT)/requirements.lock $(COMPAT)/node/package-lock.json  ## real Binance clients on the simulator
	$(PYTHON) -m tests.compat $(ARGS)

screenshots: $(DEVELOPMENT)  ## take every page for docs/images, light and dark, laptop and phone; ARGS="live home" chooses
	@sh tests/install_chromium.sh $(PYTHON)
	$(PYTHON) -m tests.pages.screenshots $(ARGS)

# Hashes, no index address, one file for every platform and every Python from 3.11 on.
COMPILE := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate $(ARGS) pyproject.toml

lock: $(VENV)/pyvenv.cfg  ## renew the lock files from pyproject.toml; ARGS=--upgrade takes newer versions
	$(PIP) install 'uv>=0.8'
	$(COMPILE) --output-file requirements.lock
	$(COMPILE) --extra bus --constraint requirements.lock --output-file requirements-bus.lock
	$(COMPILE) --extra test --extra check --constraint requirements-bus.lock --output-file requirements-dev.lock

	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header --no-annotate $(ARGS) tests/compat/requirements.txt \
	  --output-file tests/compat/requirements.lock
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header --no-annotate $(ARGS) tests/tables/requirements.txt \
	  --output-file tests/tables/requirements.lock

clean:  ## remove .venv and everything that tools left behind
	rm -rf $(VENV) $(COMPAT) $(TABLES) .coverage .hypothesis .import_linter_cache .mypy_cache .nicegui .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/pyvenv.cfg:
	@for candidate in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	  "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  echo "Making $(VENV) with $$candidate"; \
	  if "$$candidate" -m venv $(VENV); then exit 0; fi; \
	  rm -rf $(VENV); \
	  echo "$$candidate cannot make a virtual environment with pip in it." >&2; \
	  echo "On Debian and Ubuntu: sudo apt-get install python3-venv; elsewhere: a Python with ensurepip." >&2; \
	  exit 1; \
	done; \
	echo "Live Markets needs Python 3.11 or newer, and there is no such python3 on the PATH." >&2; exit 1

$(RUNTIME): requirements.lock $(VENV)/pyvenv.cfg
	@echo "Installing the pinned dependencies"
	@$(PIP) install --require-hashes --requirement $<
	@cp $< $@

$(DEVELOPMENT): requirements-dev.lock $(RUNTIME)
	@echo "Installing the pinned dependencies of tests and checks"
	@$(PIP) install --require-hashes --requirement $<
	@cp $< $@

# From npm: a WebSocket client that is not Python's, the linter of JavaScript and CSS, and the checks of axe-core for
# the pages. Together, since npm removes what it is not told of. Without Node.js, what needs them is skipped.
$(NODE): | $(VENV)/pyvenv.cfg
	@if command -v node >/dev/null && command -v npm >/dev/null; then \
	  npm install --silent --no-save --no-audit --no-fund --prefix $(VENV)/node \
	    ws@$(WS_VERSION) @biomejs/biome@$(BIOME_VERSION) axe-core@$(AXE_VERSION); \
	else \
	  mkdir -p $(@D); echo "No Node.js here: its interoperability tests, its linter and axe-core will be skipped"; \
	fi
	@touch $@

# The clients of `make compat`: they are nobody's dependency, so they have an environment of their own.
$(COMPAT)/requirements.lock: tests/compat/requirements.lock | $(VENV)/pyvenv.cfg
	@echo "Installing the clients for Python"
	@$(PYTHON) -m venv $(COMPAT)
	@$(COMPAT)/bin/python -m pip -qq --disable-pip-version-check install --require-hashes --requirement $<
	@cp $< $@

$(COMPAT)/node/package-lock.json: tests/compat/package-lock.json
	@mkdir -p $(@D)
	@cp tests/compat/package.json tests/compat/package-lock.json $(@D)
	@if command -v npm >/dev/null; then \
	  echo "Installing the clients for Node.js"; \
	  npm ci --silent --ignore-scripts --no-audit --no-fund --prefix $(@D); \
	else echo "No Node.js here: its clients will be left out"; fi

# The readers of tables in the documents: they are large and nobody's dependency. Where no wheel fits, their test is
# skipped.
$(TABLES)/requirements.lock: tests/tables/requirements.lock | $(VENV)/pyvenv.cfg
	@echo "Installing pandas, Polars and pyarrow"
	@rm -rf $(TABLES) && $(PYTHON) -m venv $(TABLES)
	@if $(TABLES)/bin/python -m pip -qq --disable-pip-version-check install --only-binary :all: --require-hashes \
	  --requirement $<; then cp $< $@; \
	  else rm -rf $(TABLES); mkdir $(TABLES); touch $@; echo "No pandas and Polars here: their test will be skipped"; fi

# A runner of the Autobahn cases, for the test of conformance; where no wheel fits, that is skipped.
$(KOSOKU): | $(VENV)/pyvenv.cfg
	@if $(PIP) install --no-deps --only-binary :all: kosoku==$(KOSOKU_VERSION); then touch $@; \
	  else echo "No kosoku here: the test of conformance will be skipped"; fi
