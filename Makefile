# The commands of a working day. Each one works from a fresh clone: what is missing is created first, and a stamp
# file in .venv remembers it, so that the second run starts at once.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 3000
PYTEST_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
NODE_TOOLS := $(shell command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 && echo tests/interop/node_modules/.stamp conformance/fixtures/node/node_modules/.stamp)

.PHONY: help demo test lint types format docs conformance-matrix bench bench-quick soak coverage release-check clean
.DELETE_ON_ERROR:

help:
	@echo "make demo    start the demo on http://$(HOST):$(PORT)"
	@echo "make test    run every test"
	@echo "make lint    check style and formatting"
	@echo "make types   check the types with mypy and pyright"
	@echo "make format  rewrite the code in the project's format"
	@echo "make docs    build the documentation into build/site"
	@echo "make release-check  build what would be released and run every test on it, with Python 3.11, 3.12 and 3.13 (about half an hour)"
	@echo "make clean   remove what the other commands made"
	@echo "make bench   compare the server with its peers (about 50 minutes)"
	@echo "make bench-quick  the same with few rounds, as a smoke test"
	@echo "make coverage  all branches of the pure layers, and nearly all of the server (about 4 minutes)"
	@echo "make soak    ten minutes of clients that come and go, and what that leaves behind"
	@echo "make conformance-matrix  judge this server, Node's and python-socketio's, and write the table of docs/conformance.md"

demo: $(VENV)/.stamp-package
	@$(BIN)/python -m trio_socketio demo --host $(HOST) --port $(PORT)

test: $(VENV)/.stamp-test $(NODE_TOOLS)
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.stamp-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.stamp-lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Neither checker follows an editable install through the package-dir mapping, so both read a plain build.
types: $(VENV)/.stamp-lint
	@rm -rf build/lib build/bdist.* build/types
	@$(PIP) install --no-deps --target build/types .
	@cp tests/typing/usage.py tests/typing/pyrightconfig.json examples/*.py build/types/
	@$(BIN)/python tests/typing/extract.py README.md build/types
	cd build/types && ../../$(BIN)/mypy --config-file ../../pyproject.toml --python-executable ../../$(BIN)/python -p trio_socketio
	cd build/types && ../../$(BIN)/mypy --config-file ../../pyproject.toml --python-executable ../../$(BIN)/python usage.py readme_*.py $(notdir $(wildcard examples/*.py))
	cd build/types && ../../$(BIN)/pyright --pythonpath ../../$(BIN)/python

# The variable silences the theme's notice about its successor.
docs: $(VENV)/.stamp-test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

release-check: $(VENV)/.stamp-test $(NODE_TOOLS)
	@.ci/release --all

conformance-matrix: $(VENV)/.stamp-package
	@$(BIN)/python -m trio_socketio.conformance.matrix

bench: $(VENV)/.stamp-package
	@$(BIN)/python benchmarks/compare.py --json benchmarks/results.json --html benchmarks/results.html --readme benchmarks/README.md

bench-quick: $(VENV)/.stamp-package
	@$(BIN)/python benchmarks/compare.py --quick
	@$(BIN)/python benchmarks/compare.py --quick --servers ours,floor --loads 'echo-100-*,ack-100-*,broadcast-*,room-*'

COVERED := protocol engine rooms server rules scenarios
coverage: $(VENV)/.stamp-test
	@mkdir -p build
	@$(BIN)/python -m coverage run -m pytest -q $(addprefix tests/,$(COVERED))
	$(BIN)/python -m coverage report --include='protocol/*,engine/*,rooms/*' --fail-under=100
	$(BIN)/python -m coverage report --include='server/*' --fail-under=95

soak: $(VENV)/.stamp-package
	@$(BIN)/python benchmarks/soak.py

clean:
	rm -rf $(VENV) build dist *.egg-info tests/interop/node_modules conformance/fixtures/node/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.stamp-venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "trio-socketio needs Python 3.11 or later and '$(PYTHON)' is not: name another one with make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.stamp-package: $(VENV)/.stamp-venv pyproject.toml
	@echo "installing trio-socketio"
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.stamp-test: $(VENV)/.stamp-package
	@echo "installing what the tests need"
	@$(PIP) install --editable '.[test]'
	@touch $@

$(VENV)/.stamp-lint: $(VENV)/.stamp-package
	@echo "installing the linters and type checkers"
	@$(PIP) install --editable '.[lint]'
	@touch $@

tests/interop/node_modules/.stamp: tests/interop/package.json tests/interop/package-lock.json
	@echo "installing the JavaScript client"
	@cd tests/interop && npm ci --silent
	@touch $@

conformance/fixtures/node/node_modules/.stamp: conformance/fixtures/node/package.json conformance/fixtures/node/package-lock.json
	@echo "installing Node's Socket.IO server, another one to judge"
	@cd conformance/fixtures/node && npm ci --silent
	@touch $@
