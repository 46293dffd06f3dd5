# The front door: every target makes the environment it needs, from nothing but Python 3.11 or later and a package index.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
STAMPS := .make
CLIENTS := tests/clients/heavy
# The Python that executables carry: the one that starts on older Linux where `make base` has built it, else this machine's.
BASE ?= $(firstword $(wildcard build/base/python/bin/python3) $(PYTHON))
FLOOR := $(if $(findstring build/base/,$(BASE)),--ceiling 2.31)
FREEZER := .venv-binary/bin

.PHONY: help run demo test test-clients bench bench-core bench-binary fuzz base binary folder check format lint types cover requirements env-example compatibility doctor models image deb clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Python 3.11 or later is needed; $(PYTHON) is not. Name another one: make PYTHON=python3.13"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Could not make a virtual environment (on Debian and Ubuntu: apt install python3-venv)."; exit 1; }

$(STAMPS)/run: requirements/run.txt pyproject.toml | $(BIN)/python
	@echo "Setting up (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/dev: requirements/dev.txt $(STAMPS)/run
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

run: $(STAMPS)/run ## start the router (demo mode where no token is configured)
	@$(BIN)/python -m cody_oai_router serve --or-demo

demo: $(STAMPS)/run ## start the router in front of the embedded simulator
	@$(BIN)/python -m cody_oai_router demo

doctor: $(STAMPS)/run ## tell whether machine, network, token and instance will work
	$(BIN)/python -m cody_oai_router doctor

models: $(STAMPS)/run ## list the models of the instance
	$(BIN)/python -m cody_oai_router models

test: $(STAMPS)/dev ## run the tests
	@$(BIN)/python -m pytest -n $(JOBS)

$(STAMPS)/clients: requirements/clients.txt $(CLIENTS)/node/package-lock.json $(CLIENTS)/agents/package.json $(STAMPS)/dev
	@$(PYTHON) -m venv .venv-clients
	@.venv-clients/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/clients.txt
	@.venv-clients/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@if command -v npm >/dev/null; then \
		npm ci --prefix $(CLIENTS)/node --ignore-scripts --no-audit --no-fund --silent && \
		npm install --prefix $(CLIENTS)/agents --no-package-lock --no-audit --no-fund --silent; \
	else echo "npm is not installed: the JavaScript clients and agents are skipped."; fi
	@touch $@

test-clients: $(STAMPS)/clients ## try the router with other real clients: SDKs, libraries, agents (1.1 GB)
	@.venv-clients/bin/python -m pytest -n $(JOBS) -W default $(CLIENTS)

bench: $(STAMPS)/dev ## measure the router beside Node, express + axios and nginx (Linux; docs/performance.md)
	@PYTHONPATH=tests $(BIN)/python -m bench.bench_proxies $(BENCH)

bench-core: $(STAMPS)/dev ## count the instructions of the core's steps
	@PYTHONPATH=tests $(BIN)/python -m bench.bench_core $(BENCH)

$(STAMPS)/fuzz-ready: requirements/fuzz.txt pyproject.toml
	@$(PYTHON) -m venv .venv-fuzz
	@.venv-fuzz/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/fuzz.txt
	@.venv-fuzz/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@mkdir -p $(STAMPS) && touch $@

fuzz: $(STAMPS)/fuzz-ready ## fuzz every reader, each for 20 seconds
	@for target in server client sse relay found_in_text read_prompt read_reply read_fault schema catalogue settings; do \
		.venv-fuzz/bin/python tests/fuzz/fuzz.py $$target -max_total_time=20 || exit 1; done

check: $(STAMPS)/dev ## format, lint, types and tests: what CI runs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n $(JOBS)

format: $(STAMPS)/dev ## format the code and apply the safe fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(STAMPS)/dev ## format and lint, without changing anything
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMPS)/dev ## check the types
	$(BIN)/mypy

cover: $(STAMPS)/dev ## branch coverage of the core
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine
	$(BIN)/coverage report

requirements: $(STAMPS)/dev ## renew the pinned requirements
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --no-header --upgrade -o requirements/run.txt requirements/run.in
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --no-header --upgrade -o requirements/dev.txt requirements/dev.in
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --no-header --upgrade -o requirements/clients.txt requirements/clients.in
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --no-header --upgrade -o requirements/fuzz.txt requirements/fuzz.in
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --no-header --upgrade -o requirements/binary.txt requirements/binary.in

env-example: $(STAMPS)/run ## write .env.example and the docs that come from tables
	$(BIN)/python -m cody_oai_router.cli.reference

compatibility: $(STAMPS)/dev ## write docs/compatibility.md from runs against every simulated version
	PYTHONPATH=tests $(BIN)/python -m end_to_end.matrix docs/compatibility.md

base: ## build the Python that Linux executables carry (needs root and debootstrap; some 40 minutes)
	nice sh release/base.sh build/base

FROZEN := $(STAMPS)/binary$(subst /,-,$(BASE))
$(FROZEN): requirements/binary.txt $(STAMPS)/run
	@$(BASE) -m venv --clear --without-pip .venv-binary
	@$(BIN)/python -m pip --python .venv-binary install --quiet --disable-pip-version-check --require-hashes -r requirements/binary.txt
	@rm -f $(STAMPS)/binary* && touch $@

binary: $(FROZEN) ## build the executables for this system, test and measure them
	@$(BIN)/python -m pip --python .venv-binary install --quiet --disable-pip-version-check --no-deps --no-build-isolation --force-reinstall .
	$(FREEZER)/python release/build.py $(FLOOR)

folder: binary

bench-binary: ## measure the executables (make binary first; Linux)
	@$(PYTHON) release/measures.py dist/cody-oai-router-linux dist/cody-oai-router/cody-oai-router

# dist/cody-oai-router is the program as a folder.
image: folder $(STAMPS)/run ## build the container image and prove it (Debian or a relative; ENGINE=docker runs it there too)
	@rm -f dist/*.oci.tar
	@$(BIN)/python release/image.py dist/cody-oai-router dist
	@$(BIN)/python release/check_image.py $(if $(ENGINE),--engine "$(ENGINE)") dist/*.oci.tar

deb: folder $(STAMPS)/run ## build the Debian package and prove it
	@rm -f dist/*.deb
	@$(BIN)/python release/deb.py dist/cody-oai-router dist
	@$(BIN)/python release/check_deb.py dist/*.deb

clean: ## remove what the other targets made, but not build/base
	rm -rf dist build/pyinstaller $(VENV) .venv-clients .venv-fuzz .venv-binary $(CLIENTS)/*/node_modules $(STAMPS) .mypy_cache .pytest_cache .ruff_cache .hypothesis htmlcov .coverage*
