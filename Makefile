# Two commands do everything from a bare clone:  make demo   and   make test
# They need Python 3.11 or newer and nothing else; the rest goes into .venv.

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
RUNTIME := $(VENV)/.runtime
DEV     := $(VENV)/.dev

.DEFAULT_GOAL := help
LOWEST := .venv-lowest
NEWEST := .venv-newest
# Without what tries the development tools, whose versions are pinned, and what installs into clean venvs itself.
VERSION_TESTS := tests --ignore=tests/codegen --ignore=tests/spec --ignore=tests/packaging --ignore=tests/docs/test_site.py
# torch and jax are large; without them their tests skip: make test-lowest WITH=,torch,jax
WITH ?=
VERSION_NEEDS := --editable '.[local,cli,hub,chat,zstd,vision,progress,plot,otel,parquet,datasets$(WITH)]' \
	pytest pytest-timeout hypercorn hypothesis jsonschema protobuf tiktoken opentelemetry-sdk
# $(call test_versions,<venv>,<which versions, as options of pip install>)
define test_versions
@$(PYTHON) -m venv $(1)
@$(1)/bin/python -m pip install --quiet --disable-pip-version-check $(2) $(VERSION_NEEDS)
TINKEX_SCHEMATHESIS=$(CURDIR)/$(PY) $(1)/bin/python -m pytest $(VERSION_TESTS)
endef
AUDIT := .venv-audit

.PHONY: audit test-lowest test-newest help demo test lint types tests check-generated generate regenerate-check examples interop interop-servers serve bench soak docs format coverage clean

help:  ## show what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(RUNTIME)  ## fine-tune a small model on the local server, before and after
	@$(PY) examples/demo.py

test: lint types check-generated tests  ## the whole check: lint, types, generated code, tests

lint: $(DEV)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: $(DEV)
	$(PY) -m mypy
	$(VENV)/bin/basedpyright --level error

check-generated: $(DEV)  ## fail if a generated file is not what it is made from
	$(PY) codegen/generate.py --check
	$(PY) tools/api_page.py --check
	$(PY) tools/cli_page.py --check
	$(PY) tools/reliability_page.py --check

tests: $(DEV)
	$(PY) -m pytest

test-lowest: $(DEV)  ## run the tests with the lowest versions of all dependencies, in a venv of its own
	$(call test_versions,$(LOWEST),--constraint constraints-lowest.txt)

test-newest: $(DEV)  ## run the tests with the newest versions of all dependencies, in a venv of its own
	$(call test_versions,$(NEWEST),--upgrade --upgrade-strategy eager)

audit: $(RUNTIME)  ## ask the public advisory database about the installed packages (needs the internet)
	@$(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(AUDIT)/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict

generate: $(DEV)  ## make generated/ anew from openapi.yaml, docs/api.md, cli.md and reliability.md from the code
	$(PY) codegen/generate.py
	$(PY) tools/api_page.py
	$(PY) tools/cli_page.py
	$(PY) tools/reliability_page.py

regenerate-check: $(DEV)  ## try in a temporary folder what changes of openapi.yaml bring: generate, mypy, a call
	@$(PY) tools/regenerate_check.py

examples: $(RUNTIME)  ## run all examples on a local server (or, with TINKER_API_KEY, on the service), and print a table
	@$(PY) examples/run_all.py $(EXAMPLES)

interop: $(RUNTIME)  ## let the official client work against the local server (TINKER="tinker==0.24.1" for another one)
	@$(PY) tests/interop/run.py $(TINKER)

interop-servers: $(RUNTIME)  ## drive tinkex against SkyRL and TuFT, and write the table of docs/many-gpus.md (SERVERS=tuft for one)
	@$(PY) tests/interop/servers/run.py $(SERVERS)

serve: $(RUNTIME)  ## run the local server until Ctrl-C
	@$(VENV)/bin/tinkex serve

bench: $(RUNTIME)  ## measure against the official client and PyTorch; writes bench/RESULTS.md
	@$(PY) bench/results.py

SECONDS ?= 600
soak: $(RUNTIME)  ## train for ten minutes under faults and kills; SECONDS=30 is a short one
	@nice $(PY) tools/soak.py --seconds $(SECONDS)

docs: $(DEV)  ## build the documentation site into build/site; fails on a warning
	@$(PY) tools/build_site.py

format: $(DEV)  ## format the code and sort its imports
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

coverage: $(DEV)  ## run the tests and show which branches they miss
	$(PY) -m pytest --cov --cov-report=term-missing:skip-covered

clean:  ## remove the virtual environment and every cache
	rm -rf $(VENV) $(LOWEST) $(NEWEST) $(AUDIT) .venv-interop .venv-bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "tinkex needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V). Try: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "Python's venv module is missing (on Debian: apt install python3-venv)"; rm -rf $(VENV); exit 1; }

$(RUNTIME): $(PY) pyproject.toml
	@echo "Installing tinkex into $(VENV) ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[local,cli]'
	@touch $@

$(DEV): $(RUNTIME) requirements-dev.txt codegen/requirements.txt constraints.txt
	@echo "Installing the development tools into $(VENV) ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt -r requirements-dev.txt -r codegen/requirements.txt
	@touch $@
