# Everything a person runs. Each target creates what it needs: a virtual environment with
# pinned packages (.venv) and, where a test needs a program, Debian's package of it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo test check bench scale rising faults soak year boot lock wheel clean
help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

# setuptools warns of every editable install: nothing that a reader of `make demo` can use.
$(VENV)/run.stamp: requirements.lock requirements-build.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --require-hashes -r requirements-build.lock
	PYTHONWARNINGS=ignore $(PIP) install --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/dev.stamp: requirements-dev.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes -r requirements-dev.lock
	PYTHONWARNINGS=ignore $(PIP) install --no-deps --no-build-isolation -e .
	touch $@ $(VENV)/run.stamp

$(VENV)/bench.stamp: requirements-bench.lock $(VENV)/dev.stamp
	$(PIP) install --require-hashes -r requirements-bench.lock
	touch $@

demo: $(VENV)/run.stamp  ## a month at a stand-in site in about a minute: no network, no configuration
	$(BIN)/watcher demo

test: $(VENV)/dev.stamp  ## all tests (installs Debian's chromium and systemd when they are missing)
	@sh tools/debian-packages chromium systemd
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

check: $(VENV)/dev.stamp  ## lint, strict types, the layer rule, shipped files that are generated
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/bench.stamp  ## speed against peers, as ratios in one run
	@sh tools/debian-packages nginx-light
	$(BIN)/python -m bench

scale: $(VENV)/bench.stamp  ## much of everything: 304s, a million papers, 10,000 sources, two cores (minutes)
	@sh tools/debian-packages nginx-light
	$(BIN)/python -m bench.scale

rising: $(VENV)/dev.stamp  ## how good the rise statistic is, beside every anchor (needs ../shared)
	$(BIN)/python -m bench.rising

faults: $(VENV)/dev.stamp  ## 500 kills of the real daemon: nothing lost, nothing told twice without need
	$(BIN)/python -m tests.faults --kills 500

soak: $(VENV)/dev.stamp  ## 10,000 checks in a row: memory and file descriptors stay flat
	$(BIN)/python -m tests.soak

year: $(VENV)/dev.stamp  ## a simulated year of 20 sources: size of the store, cost of a check
	$(BIN)/python -m tests.year

boot: $(VENV)/dev.stamp  ## the units under a real systemd in an emulated machine, power cut included (root, minutes)
	@sh tools/debian-packages debootstrap qemu-system-x86 e2fsprogs
	$(BIN)/python -m tests.boot

UV_COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-annotate --no-header -q -U

lock:  ## renew the pinned packages
	$(PIP) install uv
	$(UV_COMPILE) pyproject.toml --extra apprise -o requirements.lock
	$(UV_COMPILE) --group build -o requirements-build.lock
	$(UV_COMPILE) pyproject.toml --extra apprise --group dev -o requirements-dev.lock
	$(UV_COMPILE) pyproject.toml --extra apprise --group dev --group bench -o requirements-bench.lock

wheel: $(VENV)/dev.stamp  ## build the wheel into dist/
	$(BIN)/python -m build --no-isolation --wheel

clean:  ## remove what was made
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache bench/out demo-data
