# Everything a fresh clone needs: `make run` serves an embedded cluster, `make test` runs all tests.
# Assumed: Python 3.11 or newer, a Rust toolchain, Debian packages (see .ci/run).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEEDS ?= 300
RUST_SOURCES := $(shell find kernel/src server/reactor wal/lanes -name '*.rs' 2>/dev/null) kernel/Cargo.toml kernel/Cargo.lock server/reactor/Cargo.toml wal/lanes/Cargo.toml

NEED_RUST = command -v cargo >/dev/null && rustc --version 2>/dev/null | awk '{ split($$2, v, "."); new = v[1] > 1 || v[2] >= 85 } END { exit !new }' \
	|| { echo "make build: Rust is missing or older than 1.85; install a toolchain with rustup, or: apt-get install cargo rustc (1.85 or newer)"; exit 1; }

.PHONY: build run test test-rust test-python bench lint sim clean

# An editable install leaves the sources uncompiled, and where PYTHONDONTWRITEBYTECODE is set they stay so: 0.2 s of every start.
build: $(VENV)/.built
	@$(BIN)/python -m compileall -q kernel wal pagestore engine server

$(VENV)/.python:
	@$(NEED_RUST)
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null || { echo "make build: Python 3.11 or newer is missing; install it with: apt-get install python3 python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip "setuptools>=77" "setuptools-rust>=1.9" wheel
	@touch $@

$(VENV)/.built: $(VENV)/.python pyproject.toml $(RUST_SOURCES)
	@$(NEED_RUST)
	$(BIN)/pip install --quiet --no-build-isolation --editable '.[dev]'
	@touch $@

run: build
	$(BIN)/sixfold serve $(ARGS)

test: build test-rust test-python

test-rust:
	cd kernel && cargo test --quiet --workspace

test-python: build
	$(BIN)/python -m pytest $(PYTEST_ARGS)

sim: build
	$(BIN)/python -m tests.sim --seeds $(SEEDS) $(ARGS)

bench: build
	$(BIN)/python -m bench $(ARGS)

lint: build
	cd kernel && cargo fmt --all --check
	cd kernel && cargo clippy --quiet --workspace --all-targets -- -D warnings
	cd kernel && cargo clippy --quiet --features python -- -D warnings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m tests.tools.typecheck

clean:
	rm -rf $(VENV) kernel/target build *.egg-info
