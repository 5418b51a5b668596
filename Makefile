# Two commands do everything on a fresh machine with Python 3.11 or newer: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := tasks blockers agent_env env_builder rl_trainer repodojo
EXTRAS := docker,train,dev

.PHONY: demo test unit check format bench clean
.DELETE_ON_ERROR:

demo: $(VENV)/ready
	$(BIN)/repodojo demo --out demo

test: check
	$(BIN)/python -m pytest

# What needs neither sandboxes nor anything from elsewhere: the tests to run while writing.
unit: $(VENV)/ready
	$(BIN)/python -m pytest -q -m "not (sandbox or docker or network or slow)"

check: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Not among them: bench/training.py, which needs the folder of a run, and bench.kernel, which needs Debian's QEMU.
bench: bench/pool
	$(BIN)/python bench/sandbox.py --peers
	$(BIN)/python bench/env.py bench/pool
	$(BIN)/python bench/grading.py bench/pool
	$(BIN)/python bench/remote.py bench/pool
	$(BIN)/python bench/ablation.py bench/pool
	$(BIN)/python bench/validation.py
	$(BIN)/python bench/monitor.py
	$(BIN)/python -m bench.graders
	$(BIN)/python -m bench.chaos --episodes 200

bench/pool: | $(VENV)/ready
	$(BIN)/repodojo build pypi:toolz --strategy procedural --limit 10 --max-tasks 4 --out $@

$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "RepoDojo needs Python 3.11 or newer, and $(PYTHON) is older: make PYTHON=python3.12 ..." >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "python -m venv failed; on Debian and Ubuntu: apt install python3-venv" >&2; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[$(EXTRAS)]"
	@touch $@

clean:
	rm -rf $(VENV) demo bench/pool .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
