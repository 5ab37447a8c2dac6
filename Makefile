# One virtual environment for everything; it is made anew when setup.cfg, setup.py, pyproject.toml or constraints.txt change.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete

.PHONY: install demo serve test test-fast coverage lint format docs bench fuzz image smoke lock release train-gpu clean

install: $(STAMP)

$(STAMP): setup.cfg setup.py pyproject.toml constraints.txt
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test,train,track,eval,export,deploy,cohort,serve,docs]"
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/mmccd demo --output mmccd_demo --force
	@echo "look at mmccd_demo/overview.png, open mmccd_demo/report.html"

# A page on this machine. ARGS: flags of `mmccd serve`.
serve: $(STAMP)
	$(BIN)/mmccd serve $(ARGS)

# A process for each core, at most four: each needs up to 2 GB. A module's tests stay together, because they share what they make;
# the modules keep the order that tests/conftest.py gives them.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test: $(STAMP)
	$(PYTEST)

# Without whole programs, trainings and real volumes: for every change.
test-fast: $(STAMP)
	$(PYTEST) -m "not slow"

# All tests, and which lines they ran, in programs that they start, too; the floor stands in .coveragerc.
coverage: $(STAMP)
	$(PYTEST) --cov --cov-report=term-missing:skip-covered

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Into site/; a warning (a link, an anchor) ends it with an error.
docs: $(STAMP)
	$(BIN)/python docs/tables.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: $(STAMP)
	$(BIN)/mmccd benchmark --output docs/benchmarks/machine.json --plot docs/images/benchmark_scaling.png

fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzz.mutants --seconds 180

# TARGET: cpu or cuda. BASE, WHEELS, CA_FILE and more: see docker/build.sh.
image: $(STAMP)
	PYTHON=$(BIN)/python docker/build.sh $(or $(TARGET),cpu)

# The built image run as it is run in a hospital: read-only, without network, as an ordinary user. IMAGE: another one.
smoke: $(STAMP)
	IMAGE_UNDER_TEST=$(or $(IMAGE),mmccd:$(shell sed -n 's/^version *= *//p' setup.cfg)-$(or $(TARGET),cpu)) $(BIN)/python -m pytest -v --log-cli-level=INFO --durations=0 tests/docker/test_image.py

# docker/locks anew, after a change of setup.cfg or constraints.txt. TORCH: a folder with torch's CPU wheel, where its index is not reached.
lock: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python docker/lock.py $(if $(TORCH),--torch $(TORCH))

# Wheel, sources, bundles, cards and raw results (RESULTS: a folder) with their hashes, into release/dist, and an install of them
# into an empty environment. OWNER: on the hub. ADDRESS: of the repository on its code host, where the README's links lead from an index.
release: $(STAMP)
	$(BIN)/python release/make.py $(if $(RESULTS),--results $(RESULTS)) $(if $(OWNER),--owner $(OWNER)) $(if $(ADDRESS),--address $(ADDRESS))
	$(BIN)/python release/check.py release/dist

# Ten minutes of one GPU, here; docs/training.md has the way to another machine. DATA: options of 'prepare'; TRAIN: of 'run'.
FOLDER ?= build/train_gpu
OUT ?= runs/train_gpu
SECONDS ?= 540

train-gpu: $(STAMP)
	test -f $(FOLDER)/contents.json || $(BIN)/python docker/train_gpu.py prepare $(FOLDER) --no_wheels $(DATA)
	$(BIN)/python docker/train_gpu.py run $(FOLDER) --out $(OUT) --seconds $(SECONDS) $(TRAIN)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache mmccd_demo site release/dist .coverage .coverage.*
