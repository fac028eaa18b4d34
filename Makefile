# make demo: denoise two brains, an interferogram and a motion, and compare.   make test: lint, types, pages, tests.
# make test-gpu: every command on a GPU against the CPU, skipped where there is none.
# make peers: also install snaphu, bm3d and bm4d, which are free for non-commercial use only; what needs them is left
# out without them.   make coverage: the statements that tests run of the readers, and of what writes results.
# make docs: the documentation, into site/.   make pictures: its pictures, from the data in MVNET_DATA.
# make notebooks: run them, and store what they show.
# Tests run side by side, one thread each: a thread of a small network waits longer than it works.
# All make their own environment in .venv from constraints.txt; PYTHON names the interpreter (3.11 or newer).
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.PHONY: demo test test-gpu peers coverage docs pictures notebooks benchmarks clean

demo: .venv/installed
	$(BIN)/mvnet demo -o demo-out --overwrite

test: .venv/documented
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/typos
	$(BIN)/pyright
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --maxprocesses 4

test-gpu: .venv/installed
	$(BIN)/python -m pytest -q -n 0 -m gpu tests

peers: .venv/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[unwrap,noncommercial]'

coverage: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --maxprocesses 4 --cov data_loaders --cov mvnet --cov apps \
		tests/data_loaders tests/apps tests/faults tests/training tests/models tests/test_api.py tests/test_insar_filters.py

docs: .venv/documented
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

pictures: .venv/installed
	$(BIN)/python docs/pictures.py

notebooks: .venv/installed
	$(BIN)/python docs/notebooks.py

benchmarks: .venv/installed
	$(BIN)/python -m benchmarks.kernels
	$(BIN)/python -m benchmarks.dti
	$(BIN)/python -m benchmarks.field_dti
	$(BIN)/python -m benchmarks.field_insar

.venv/installed: pyproject.toml setup.py constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,insar,motion,peers,scanner,train]'
	mkdir -p .venv/typing/mvnet
	ln -sfn ../../../apps .venv/typing/mvnet/apps
	ln -sfn ../../../data_loaders .venv/typing/mvnet/data_loaders
	ln -sfn ../../../mvnet/__init__.py .venv/typing/mvnet/__init__.py
	touch $@

.venv/documented: .venv/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

clean:
	rm -rf .venv demo-out site build *.egg-info
