# The front door: every target makes the environment it needs, from nothing but Python 3.11 or later and a package index.

# Where a virtual environment has its programs, and what Python is called: Windows (in Git's bash) has its own names.
ifeq ($(OS),Windows_NT)
PYTHON ?= python
SCRIPTS := Scripts
EXE := .exe
else
PYTHON ?= python3
SCRIPTS := bin
EXE :=
endif
VENV := .venv
BIN := $(VENV)/$(SCRIPTS)
JOBS ?= 2
STAMPS := .make
CLIENTS := tests/clients/heavy
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
# In a workflow, the tag that started it.
TAG ?= $(or $(if $(filter tag,$(GITHUB_REF_TYPE)),$(GITHUB_REF_NAME)),v$(VERSION))
# The date of everything that is built, so that the same commit gives the same bytes.
export SOURCE_DATE_EPOCH := $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null),1577836800)

# The Python that executables carry: the one that starts on older Linux where `make base` has built it, else this machine's.
BASE ?= $(firstword $(wildcard build/base/python/bin/python3) $(PYTHON))
FLOOR := $(if $(findstring build/base/,$(BASE)),--ceiling 2.31)
FREEZER := .venv-binary/$(SCRIPTS)

.PHONY: help run demo doctor models test test-clients check format lint types cover bench bench-core bench-binary fuzz \
	base binary binary-windows binaries folder image deb dist sbom sums complete changelog notes draft requirements env-example compatibility clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

$(BIN)/python$(EXE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Python 3.11 or later is needed; $(PYTHON) is not. Name another one: make PYTHON=python3.13"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Could not make a virtual environment (on Debian and Ubuntu: apt install python3-venv)."; exit 1; }

$(STAMPS)/run: requirements/run.txt pyproject.toml | $(BIN)/python$(EXE)
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
	@.venv-clients/$(SCRIPTS)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/clients.txt
	@.venv-clients/$(SCRIPTS)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@if command -v npm >/dev/null; then \
		npm ci --prefix $(CLIENTS)/node --ignore-scripts --no-audit --no-fund --silent && \
		npm install --prefix $(CLIENTS)/agents --no-package-lock --no-audit --no-fund --silent; \
	else echo "npm is not installed: the JavaScript clients and agents are skipped."; fi
	@touch $@

test-clients: $(STAMPS)/clients ## try the router with other real clients: SDKs, libraries, agents (1.1 GB)
	@.venv-clients/$(SCRIPTS)/python -m pytest -n $(JOBS) -W default $(CLIENTS)

bench: $(STAMPS)/dev ## measure the router beside Node, express + axios and nginx (Linux; docs/performance.md)
	@PYTHONPATH=tests $(BIN)/python -m bench.bench_proxies $(BENCH)

bench-core: $(STAMPS)/dev ## count the instructions of the core's steps
	@PYTHONPATH=tests $(BIN)/python -m bench.bench_core $(BENCH)

$(STAMPS)/fuzz-ready: requirements/fuzz.txt pyproject.toml
	@$(PYTHON) -m venv .venv-fuzz
	@.venv-fuzz/$(SCRIPTS)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/fuzz.txt
	@.venv-fuzz/$(SCRIPTS)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@mkdir -p $(STAMPS) && touch $@

fuzz: $(STAMPS)/fuzz-ready ## fuzz every reader, each for 20 seconds
	@for target in server client sse relay found_in_text read_prompt read_reply read_fault schema catalogue settings; do \
		.venv-fuzz/$(SCRIPTS)/python tests/fuzz/fuzz.py $$target -max_total_time=20 || exit 1; done

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
	$(BIN)/uv pip compile --quiet --python-platform windows --python-version 3.13 --generate-hashes --no-emit-index-url \
		--no-annotate --no-header --upgrade -c requirements/binary.txt -o requirements/windows.txt requirements/binary.in

env-example: $(STAMPS)/run ## write .env.example and the docs that come from tables
	$(BIN)/python -m cody_oai_router.cli.reference

compatibility: $(STAMPS)/dev ## write docs/compatibility.md from runs against every simulated version
	PYTHONPATH=tests $(BIN)/python -m end_to_end.matrix docs/compatibility.md

base: ## build the Python that Linux executables carry (needs root, or asks for it, and debootstrap; some 40 minutes)
	nice $(if $(filter 0,$(shell id -u)),,sudo) sh release/base.sh build/base

FROZEN := $(STAMPS)/binary$(subst /,-,$(BASE))
$(FROZEN): requirements/binary.txt $(wildcard build/base/python/share/sources.txt) $(STAMPS)/run
	@$(BASE) -m venv --clear --without-pip .venv-binary
	@$(BIN)/python -m pip --python .venv-binary install --quiet --disable-pip-version-check --require-hashes -r requirements/binary.txt
	@rm -f $(STAMPS)/binary* && touch $@

binary: $(FROZEN) ## build the executables for this system, test and measure them
	@$(BIN)/python -m pip --python .venv-binary install --quiet --disable-pip-version-check --no-deps --no-build-isolation --force-reinstall .
	$(FREEZER)/python release/build.py $(FLOOR)

binary-windows: $(STAMPS)/run ## build the executables for Windows and test them, under Wine (needs wine and openssl)
	@$(BIN)/python release/windows.py

binaries: binary binary-windows ## build the executables for this system and for Windows

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

dist: $(STAMPS)/dev ## build the wheel and the source distribution into dist/, and try them
	@rm -f dist/cody_oai_router-*.whl dist/cody_oai_router-*.tar.gz
	$(BIN)/python -m hatchling build -d dist
	DIST=dist $(BIN)/python -m pytest -q tests/release/test_wheel.py

sbom: $(STAMPS)/run ## write bills of materials (CycloneDX) of the package and of the executables that were built here
	@mkdir -p dist
	$(BIN)/python release/sbom.py dist/cody_oai_router-$(VERSION).cdx.json
	@for archive in dist/cody-oai-router-$(VERSION)-*.tar.gz; do \
		[ ! -e "$$archive" ] || $(BIN)/python release/sbom.py --folder dist/cody-oai-router \
			--python $(FREEZER)/python --requirements requirements/binary.txt "$${archive%.tar.gz}.cdx.json" || exit 1; \
	done

sums: ## write dist/SHA256SUMS of all files in dist/
	@rm -f dist/SHA256SUMS
	@cd dist && sha256sum $$(find . -maxdepth 1 -type f | sed 's|^\./||' | LC_ALL=C sort) >SHA256SUMS
	@cat dist/SHA256SUMS

changelog: $(STAMPS)/dev ## turn the fragments in changelog.d/ into a section of CHANGELOG.md
	$(BIN)/towncrier build --yes --version $(VERSION)

notes: $(STAMPS)/run ## print what the changelog says of this version, if tag, version and changelog agree (TAG=v1.2.3)
	@$(BIN)/python release/notes.py "$(TAG)"

complete: $(STAMPS)/run ## tell what dist/ lacks, or has too much, for a release
	@$(BIN)/python release/names.py dist

draft: complete ## make a draft of the release on GitHub from dist/ (with gh; TAG=v1.2.3)
	@mkdir -p build
	@$(BIN)/python release/notes.py "$(TAG)" >build/notes.md
	@cd dist && sha256sum --check --quiet SHA256SUMS
	gh release create "$(TAG)" --draft --verify-tag --title "Cody OAI Router $(TAG)" --notes-file build/notes.md \
		$$(find dist -maxdepth 1 -type f | sort)

clean: ## remove what the other targets made, but not build/base
	rm -rf dist build/pyinstaller-* build/windows $(VENV) .venv-clients .venv-fuzz .venv-binary $(CLIENTS)/*/node_modules $(STAMPS) .mypy_cache .pytest_cache .ruff_cache .hypothesis htmlcov .coverage*
