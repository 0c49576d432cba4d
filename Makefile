# Two commands do everything: `make run` and `make test`. Nothing is installed outside .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export MPLBACKEND := Agg

.PHONY: run test verify lint notebooks bench schema clean

$(BIN)/python:
	$(PYTHON) -c 'import sys; v=sys.version_info[:2]; sys.exit("Python 3.11 to 3.13 is needed, this is %d.%d" % v if not (3,11)<=v<=(3,13) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.installed-test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@ $(VENV)/.installed

run: $(VENV)/.installed  ## install, run the baseline scenario, print the summary, write the report
	$(BIN)/sim run scenarios/glm52_fp8_16xh100.yaml --out runs/baseline --overwrite

test: $(VENV)/.installed-test  ## the gate: style, types, arrows, quick tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n 2

verify: $(VENV)/.installed-test  ## the long oracle and validation tiers, then theory beside simulation
	$(BIN)/python -m pytest -n 2 -m "long or not long"
	$(BIN)/sim verify

notebooks: $(VENV)/.installed  ## open Jupyter Lab on the notebooks
	$(BIN)/jupyter lab notebooks

bench: $(VENV)/.installed  ## engine speed and memory, one core
	$(BIN)/python benchmarks/engine.py

schema: $(VENV)/.installed  ## write scenarios/schema.json from the code
	$(BIN)/sim schema --out scenarios/schema.json

clean:
	rm -rf $(VENV) runs build dist .pytest_cache .mypy_cache .ruff_cache
