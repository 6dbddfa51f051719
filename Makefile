# make run     sets everything up and runs the study: trains, evaluates, draws, reports
# make test    sets everything up and passes the tests
# make lint    formatting, lint, types, import layers
# make web     types, accessibility and tests of the explorer's page (needs node)
# make setup   the set-up alone; a second call does nothing
# make lock    pins what the set-up installs, after a change of pyproject.toml or constraints.txt
# make dist    builds the sdist and the wheel, the explorer's page in both
#
# make run RECIPE=first-look ARGS="--seed 1 --epochs 5" reaches `vaescape run`.
# BACKEND=cu130 takes PyTorch for an NVIDIA GPU, BACKEND=pypi the platform's default build.

PYTHON ?= python3
BACKEND ?= cpu
RECIPE ?= paper
ARGS ?=
TORCH := $(shell sed -n 's/^torch==//p' constraints.txt)
INDEX = $(if $(filter pypi,$(BACKEND)),,--no-deps --retries 1 --index-url https://download.pytorch.org/whl/$(BACKEND))
BIN = .venv/bin
PIP = $(BIN)/pip install --disable-pip-version-check --quiet

.PHONY: run test lint lock setup dist web
run: setup
	$(BIN)/vaescape run $(RECIPE) $(ARGS)

test: setup
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile $(ARGS)

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

dist: setup
	$(BIN)/python -m build

web:
	cd web && npm ci --ignore-scripts --no-audit --no-fund && npm run check && npm test

# Pins all that the set-up installs, by the SHA-256 of each file; PyTorch and its CUDA libraries come
# from PyTorch's index, by the machine's kind. Needs uv.
lock:
	uv pip compile pyproject.toml --universal --python-version 3.11 --extra dev --extra all \
	  --constraints constraints.txt --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links \
	  | $(PYTHON) -c 'import re, sys; print(re.sub(r"(?m)^(torch|triton|nvidia-|cuda-).*\n(    .*\n)*", "", sys.stdin.read()), end="")' \
	  > requirements.lock.new && test -s requirements.lock.new && mv requirements.lock.new requirements.lock

setup: .venv/.ok

.venv/.ok: pyproject.toml constraints.txt requirements.lock hatch_build.py $(shell git ls-files web 2>/dev/null)
	@$(PYTHON) -c 'import sys; sys.exit("vaescape needs Python 3.11 or later: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@echo "Setting up, a few minutes. 1 of 5: a virtual environment in .venv"
	@$(PYTHON) -m venv .venv
	@echo "2 of 5: PyTorch $(TORCH), backend $(BACKEND): the largest download"
	@$(PIP) $(INDEX) "torch==$(TORCH)" || $(PIP) "torch==$(TORCH)"
	@echo "3 of 5: the other packages and the explorer's page, which node builds"
	@$(PIP) --no-deps --require-hashes -r requirements.lock
	@$(PIP) -c constraints.txt --no-build-isolation -e ".[all,dev]"
	@echo "4 of 5: Fashion-MNIST, 30 MB"
	@$(BIN)/vaescape data fashion-mnist || scripts/data-from-debian || echo "Going on without Fashion-MNIST; see docs/how-to/pictures.md."
	@echo "5 of 5: a first start of PyTorch"
	@$(BIN)/python -c 'import torch; print("Ready: PyTorch", torch.__version__, "on", "CUDA" if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads")'
	@touch $@
