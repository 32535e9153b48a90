# Every target does its own set-up: a fresh clone needs only Python >= 3.11, pip, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock

.DEFAULT_GOAL := help
.PHONY: help run test check soak lint format docs pictures ablations bench trials ui viz site lab lock hooks clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

# A stamp per set of extras: a repeated target installs nothing again.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml requirements.lock | $(BIN)/python
	@echo "Installing Pointillist and its locked dependencies into $(VENV) (about a minute) ..."
	$(PIP) --editable .
	@touch $@

$(VENV)/.installed-%: $(VENV)/.installed
	@echo "Installing the $* extra ..."
	$(PIP) --editable '.[$*]'
	@touch $@

run: $(VENV)/.installed ## learn the dinosaur and paint it out of noise
	$(BIN)/kedro run

test: $(VENV)/.installed-dev lint ## lint, types, import contract and tests
	$(BIN)/python -m pytest --numprocesses 2

check: $(VENV)/.installed-dev lint ## what takes less than a minute: lint, types, import contract and the quick tests
	$(BIN)/python -m pytest --numprocesses 2 -m quick

soak: $(VENV)/.installed-dev ## what takes longer: kills by the dozen, rounds of concurrent runs, more inputs (half an hour)
	POINTILLIST_SOAK=tests/reliability/soak.md $(BIN)/python -m pytest -m "soak or not soak" tests/diffusion/test_recipes.py tests/reliability tests/datasets tests/shapes tests/sweeps tests/tracking tests/test_fuzz.py tests/test_parameters.py

lint: $(VENV)/.installed-dev ## format check, lint, types, import contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev ## format the code and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.installed-dev ## write docs/parameters.md from the parameter model
	$(BIN)/python -m docs.make_parameters > docs/parameters.md

pictures: $(VENV)/.installed-dev ## make every picture of the README and the docs anew (4 minutes)
	$(BIN)/python -m docs.make_pictures

ablations: $(VENV)/.installed-dev ## carry out the sweeps of docs/ablations.md and write it anew (20 minutes)
	$(BIN)/python -m docs.make_ablations

bench: $(VENV)/.installed-dev ## measure and rewrite benchmarks/results.md (20 minutes)
	$(BIN)/python -m benchmarks

trials: $(VENV)/.installed-dev ## try variations of the default recipe, rewrite benchmarks/trials.md
	$(BIN)/python -m benchmarks trials

ui: $(VENV)/.installed ## MLflow on http://127.0.0.1:5000
	$(BIN)/python -m pointillist.tracking

viz: $(VENV)/.installed ## Kedro-Viz on http://127.0.0.1:4141
	$(BIN)/kedro viz run --host 127.0.0.1

site: $(VENV)/.installed ## Kedro-Viz as a static site with previews, in build/, for any web server
	$(BIN)/kedro viz build --include-previews

lab: $(VENV)/.installed-lab ## Jupyter Lab with Kedro's extension, on 127.0.0.1
	$(BIN)/kedro jupyter lab --ip 127.0.0.1

clean: ## remove what tools and builds left; the environment, data and runs stay
	rm -rf build dist .viz .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find src tests benchmarks docs -name __pycache__ -prune -exec rm -rf {} +

hooks: $(VENV)/.installed-dev ## install the pre-commit hooks
	$(BIN)/pre-commit install

# One lock for every platform and every Python from 3.11, used as pip's constraints. torch pins
# its own CUDA libraries exactly, so they stay out: a CPU build of torch then installs none.
CUDA := $(foreach name,cuda-bindings cuda-pathfinder cuda-toolkit triton \
	$(addprefix nvidia-,cublas cuda-cccl cuda-cupti cuda-nvrtc cuda-runtime cudnn-cu13 cufft cufile \
	curand cusolver cusparse cusparselt-cu13 nccl-cu13 nvjitlink nvshmem-cu13 nvtx),--no-emit-package $(name))
lock: $(VENV)/.installed-dev ## resolve requirements.lock anew from pyproject.toml
	echo 'torch==2.13.0' | $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
		--all-extras --constraint - --no-emit-package setuptools $(CUDA) --strip-extras \
		--custom-compile-command 'make lock' --output-file requirements.lock pyproject.toml
