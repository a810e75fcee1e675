# `make demo` and `make test` make their own environment on a machine that has Python 3.11+, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
IN_PAIRS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

.PHONY: install demo test check unit test-cluster test-oldest test-newest image image-cpu reference lock clean

install: $(READY)

$(READY): pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $(READY)

# The main job: search on real digits, then take the best model home into demo/model.
demo: install
	$(BIN)/eig-tune search --space search_spaces/digits.yaml --home demo --gpus 0 --resume
	rm -rf demo/model
	$(BIN)/eig-tune best --home demo --export demo/model
	@echo "Look at demo/model/samples.png, then at every trial:  $(BIN)/eig-tune ui --home demo"

# Two files at a time, one thread each; then one by one what wants the machine for itself.
test: check
	$(IN_PAIRS) --no-loadscope-reorder -m "not alone and not long and not real_cluster" --durations=30
	$(BIN)/python -m pytest -m "alone and not real_cluster"

unit: install
	$(IN_PAIRS) -m "not slow and not cluster and not browser and not real_cluster"

# Kills, signals and outages that take minutes; then what meets a real cluster: images, batch systems, hosts. The latter
# needs root and Debian's packages; what is missing is named.
test-cluster: install
	$(IN_PAIRS) --no-loadscope-reorder -m long --durations=0
	$(BIN)/python -m pytest -m real_cluster -rs --durations=0

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_import_rule.py

# The image of Ray's nodes and the MLflow server, with CUDA and without. DOCKER may be podman, or `buildah`.
DOCKER ?= docker
image: DEVICE := cuda
image-cpu: DEVICE := cpu
image image-cpu:
	$(DOCKER) build --file docker/Dockerfile --tag eig-tune:$(DEVICE) --build-arg DEVICE=$(DEVICE) \
		--build-arg GIT_COMMIT="$$(git describe --always --dirty --abbrev=40 --exclude='*')" .

# Writes the JSON schema of a space file and docs/reference.md anew, from the code.
reference: install
	$(BIN)/python -m eig_tune.config.json_schema
	$(BIN)/python -m eig_tune.cli.reference

# What touches Ray, MLflow and Optuna, with the ends of their ranges in pyproject.toml.
test-oldest test-newest: test-%: install
	$(BIN)/python tests/other_versions.py $*

# Writes requirements.lock anew from what pyproject.toml's ranges resolve to today.
lock:
	rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	$(BIN)/python -m pip freeze --exclude-editable \
		| sed -E "s/^((nvidia|cuda|triton)[^ ]*)$$/\1; platform_system == 'Linux'/" > requirements.lock

clean:
	rm -rf $(VENV) $(VENV)-oldest $(VENV)-newest demo build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
