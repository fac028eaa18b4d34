# make demo: denoise a real DTI volume and print the comparison.   make test: lint, types, tests.
# Both make their own environment in .venv from constraints.txt; PYTHON names the interpreter (3.11 or newer).
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.PHONY: demo test benchmarks clean

demo: .venv/installed
	$(BIN)/mvnet demo -o demo-out --overwrite

test: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/python -m pytest -q

benchmarks: .venv/installed
	$(BIN)/python -m benchmarks.kernels
	$(BIN)/python -m benchmarks.dti

.venv/installed: pyproject.toml setup.py constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,insar,unwrap,motion,peers]'
	mkdir -p .venv/typing/mvnet
	ln -sfn ../../../apps .venv/typing/mvnet/apps
	ln -sfn ../../../data_loaders .venv/typing/mvnet/data_loaders
	ln -sfn ../../../mvnet/__init__.py .venv/typing/mvnet/__init__.py
	touch $@

clean:
	rm -rf .venv demo-out build *.egg-info
