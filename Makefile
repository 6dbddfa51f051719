# make run    sets everything up and runs the study: trains, evaluates, draws, reports (runs/paper)
# make test   sets everything up and passes the tests
# make lint   format, lint, types and import layers
# make setup  the set-up alone; a second call does nothing
#
# BACKEND=cu130 takes PyTorch for an NVIDIA GPU; BACKEND=pypi the platform's default build.
# ARGS="--seed 1 --epochs 5" reaches `vaescape run`.

PYTHON ?= python3
BACKEND ?= cpu
TORCH = $(shell sed -n 's/^torch==//p' constraints.txt)
INDEX = $(if $(filter pypi,$(BACKEND)),,--no-deps --retries 1 --index-url https://download.pytorch.org/whl/$(BACKEND))
RECIPE ?= paper
BIN = .venv/bin

.PHONY: run test lint setup
run: setup
	$(BIN)/vaescape run $(RECIPE) $(ARGS)

test: setup
	$(BIN)/python -m pytest $(ARGS)

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

setup: .venv/.ok

.venv/.ok: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "vaescape needs Python 3.11 or later: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check $(INDEX) "torch==$(TORCH)" || $(BIN)/pip install --disable-pip-version-check "torch==$(TORCH)"
	$(BIN)/pip install --disable-pip-version-check -c constraints.txt -e ".[dev]"
	$(BIN)/vaescape data fashion-mnist || scripts/fetch-debian-data
	@$(BIN)/python -c 'import torch; print("PyTorch", torch.__version__, "| CUDA" if torch.cuda.is_available() else "| CPU,", torch.get_num_threads(), "threads")'
	@touch $@
