# Every target makes the environment it needs by itself; `make` alone lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SITE := .venv-site
# The demo needs what users need. Where the development environment is, that has it as well.
DEMO := $(if $(wildcard $(READY)),$(VENV),.venv-demo)
# PyTorch's default build for Linux brings 4 GB of CUDA, which only an NVIDIA GPU uses (/dev/dxg: in WSL).
# TORCH_INDEX= (empty) takes the default build all the same.
TORCH_INDEX ?= $(if $(wildcard /dev/nvidiactl /dev/dxg),,https://download.pytorch.org/whl/cpu)
PIP := -m pip --disable-pip-version-check
CORES := --numprocesses auto --maxprocesses 8 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup hooks demo test format check explore fuzz soak soak-capture soak-resume sweep acceptance baselines docs samples site pictures results bench

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY)  ## make .venv and install townlet into it

define make_venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: townlet needs Python 3.11 or later; try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv $(1)
endef

define install_torch
	@[ -z "$(TORCH_INDEX)" ] || \
		$(1)/bin/python $(PIP) install -qqq -c constraints.txt --retries 1 --index-url $(TORCH_INDEX) torch 2>/dev/null || \
		echo "no CPU build of PyTorch from $(TORCH_INDEX): taking the default build"
endef

# The stamp is written last, so that an installation which was interrupted starts again.
$(READY): pyproject.toml constraints.txt
	$(call make_venv,$(VENV))
	$(call install_torch,$(VENV))
	$(BIN)/python $(PIP) install --quiet -c constraints.txt -e '.[dev]'
	@$(BIN)/python tests/compile_kernels.py
	@touch $@

.venv-demo/.ready: pyproject.toml constraints.txt
	@echo "make demo takes about 2 minutes the first time, besides the download, to install Townlet and compile it; then 20 seconds"
	$(call make_venv,.venv-demo)
	$(call install_torch,.venv-demo)
	.venv-demo/bin/python $(PIP) install --quiet -c constraints.txt -e .
	@du -sm .venv-demo | awk '{ print "installed: " $$1 " MB in " $$2 }'
	@touch $@

hooks: $(READY)  ## install the git hooks: format and lint at a commit, types and generated docs at a push
	$(BIN)/pre-commit install

demo: $(DEMO)/.ready  ## capture, train, watch and evaluate queue_conflict in ./demo: 20 seconds
	PATH="$(CURDIR)/$(DEMO)/bin:$$PATH" sh docs/demo.sh

test: $(READY)  ## run the tests, on all cores: about ten minutes on two
	$(BIN)/python tests/compile_kernels.py
	$(BIN)/python -m pytest $(CORES)

format: $(READY)  ## format the code, and fix what the linter can fix
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

check: $(READY)  ## format, lint, types, generated docs, tests: what CI runs
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/python tests/documentation/generate.py --check
	$(BIN)/python tests/compile_kernels.py
	$(BIN)/python -m pytest $(CORES)

explore: $(READY)  ## test every property with examples that no run has seen: a minute or two
	$(BIN)/python tests/compile_kernels.py
	HYPOTHESIS_PROFILE=explore $(BIN)/python -m pytest $(CORES) -m hypothesis

fuzz: $(READY)  ## read 20,000 mutants of each format: some minutes; LONG=1 for 200,000 that change every day
	$(BIN)/python tests/compile_kernels.py
	$(BIN)/python tests/fuzz/fuzz.py $(if $(LONG),--mutants 200000 --seed $$(date +%Y%m%d))
	$(BIN)/python tests/telemetry/mutated_logs.py $(if $(LONG),1000000,100000)
	$(if $(LONG),HYPOTHESIS_PROFILE=explore $(BIN)/python -m pytest tests/fuzz -m hypothesis)

soak: $(READY)  ## compare 100,000 random town-episodes with the slow town: about half an hour on two cores
	$(BIN)/python tests/soak.py

soak-capture: $(READY)  ## capture 10,000 towns, and check memory and rate: some minutes
	$(BIN)/python tests/compile_kernels.py
	$(BIN)/python tests/capture_soak.py

soak-resume: $(READY)  ## kill 100 training runs anywhere, resume them, compare how they end: about a minute
	$(BIN)/python tests/kill_soak.py

sweep: $(READY)  ## let the disk die or fail at every operation of every story: about an hour on two cores
	$(BIN)/python tests/compile_kernels.py
	$(BIN)/python tests/sweep/sweep.py

acceptance: $(READY)  ## sick runs are noticed, healthy ones are quiet, an operator's day: a minute or two; LONG=1 for all
	$(BIN)/python tests/compile_kernels.py
	OMP_NUM_THREADS=1 PYTHONPATH=tests $(BIN)/python -m acceptance.sign_off $(if $(LONG),--long)

baselines: $(READY)  ## train healthy runs; write docs/baselines.md and the bundled alert rules: about an hour
	$(BIN)/python tests/compile_kernels.py
	OMP_NUM_THREADS=1 PYTHONPATH=tests $(BIN)/python -m acceptance.baselines

samples: $(READY)  ## make docs/samples again: a capture, a log, its report, a notebook
	$(BIN)/python tests/documentation/samples.py

docs: $(READY)  ## renew the generated tables: commands, features, keys, telemetry fields, public API
	$(BIN)/python tests/documentation/generate.py

# The site's tools read docstrings without importing the code: their environment needs neither torch nor numba.
$(SITE)/.ready: pyproject.toml constraints.txt
	$(call make_venv,$(SITE))
	$(SITE)/bin/python $(PIP) install --quiet -c constraints.txt $$($(SITE)/bin/python -c \
		"import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['site'])")
	@touch $@

site: $(SITE)/.ready  ## build the documentation site in build/site; warnings are errors
	$(SITE)/bin/python tests/documentation/site_pages.py
	$(SITE)/bin/zensical build --strict --clean

pictures: $(READY)  ## play the bundled scenarios and paint docs/pictures
	@set -e; for file in scenarios/*.yaml; do \
		name=$$(basename $$file .yaml); moments=3; [ $$name != town_day ] || moments=1; \
		$(BIN)/townlet -q capture $$file --output $(VENV)/pictures/$$name --force >/dev/null; \
		$(BIN)/townlet -q replay render $(VENV)/pictures/$$name --scenario $$file --format png \
			--moments $$moments --output docs/pictures/$$name.png --force; \
	done; \
	$(BIN)/townlet -q replay render $(VENV)/pictures/queue_conflict --format gif --force \
		--output docs/pictures/queue_conflict.gif

results: $(READY)  ## train over seeds and write docs/results.md and docs/cartpole.md
	$(BIN)/python -m benchmarks.learning
	$(BIN)/python -m benchmarks.cartpole

bench: $(READY)  ## measure against peers; ONLY=NAME for one of simulation, ppo, replay, telemetry, watch, cli, scaling
	$(BIN)/python -m benchmarks $(ONLY)
