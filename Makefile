# make app   sets everything up and opens the app
# make test  sets everything up and runs every test
PYTHON ?= python3
PORT ?=
# how many processes run the tests, each of them whole files: one more than there are cores, because a
# browser's tests often wait
JOBS ?= 3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# uv installs several times faster than pip; it uses the package index that pip is configured with. Python files are
# compiled, as pip does, because TensorFlow loads in half the time then. Where uv fails, pip installs
UV := UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX-$$($(PIP) config list | sed -n "s/^[^=]*\.index-url='\(.*\)'/\1/p" | head -n 1)}" $(BIN)/uv
install = @echo "Installing: $(1)"; $(UV) pip install --quiet --compile-bytecode --python $(BIN)/python $(1) || $(PIP) install --quiet $(1)

.PHONY: app test test-all check format lock bench reproduce bench-peers pictures browser clean help

help:
	@grep -E '^# make' Makefile | cut -c3-
	@echo "make test-all   the same, with ten times as many kills"
	@echo "make check   formatting, lint, types, rules of import and versions"
	@echo "make lock    requirements*.txt made from the ranges in pyproject.toml; UPGRADE=1 takes the newest releases"
	@echo "make bench   the figures of docs/figures.md (needs TensorFlow; some minutes)"
	@echo "make reproduce   the paper's experiments, docs/reproduction.md (a quarter of an hour); QUICK=1: half a minute; TRAIN=1: trains first"
	@echo "make bench-peers   our search beside other libraries' (half an hour on a quiet machine); QUICK=1 takes two minutes"
	@echo "make pictures   the pictures of the README, taken from the app (some minutes)"
	@echo "make clean   removes the virtual environment and caches; data and models stay"

app: $(VENV)/.run
	@[ -z "$(PORT)" ] || $(BIN)/python -c 'import socket; socket.socket().bind(("", $(PORT)))' 2>/dev/null || \
		{ echo "Port $(PORT) is taken. Choose another one, or none to let the app choose: make app"; exit 1; }
	FASHION16_MANAGE=$${FASHION16_MANAGE-local} $(BIN)/streamlit run streamlit_app.py $(if $(PORT),--server.port $(PORT))

# Python keeps what it compiles, also where the environment forbids it: the tests start the program dozens of times.
test test-all: export PYTHONDONTWRITEBYTECODE :=

test: $(VENV)/.dev browser
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

test-all: $(VENV)/.dev browser
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --all

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/pins.py

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# One version of each package for all Pythons and systems. A pin stays as it is while the ranges allow it. The largest
# file is compiled first, and the others start as copies of it, so that all have the same versions
COMPILE = $(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--custom-compile-command "make lock"
lock: $(BIN)/uv
	@$(COMPILE) $(if $(UPGRADE),--upgrade) --all-extras --group dev -o requirements-dev.txt >/dev/null
	@cp requirements-dev.txt requirements-train.txt
	@$(COMPILE) --extra train --extra experiments -o requirements-train.txt >/dev/null
	@cp requirements-dev.txt requirements.txt
	@$(COMPILE) -o requirements.txt >/dev/null

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.served
	$(BIN)/python -m benchmarks.index_search
	$(BIN)/python -m benchmarks.importing
	$(BIN)/python -m benchmarks.labelling
	$(BIN)/python -m benchmarks.label_issues
	$(BIN)/python -m benchmarks.explorer

reproduce: $(VENV)/.dev
	$(BIN)/python -m experiments.paper $(if $(QUICK),--quick) $(if $(TRAIN),--train)

bench-peers: $(VENV)/.dev
	$(BIN)/python -m experiments.peers $(if $(QUICK),--quick)

pictures: $(VENV)/.dev browser
	$(BIN)/python -m docs.make_pictures

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "Fashion-16 needs Python 3.11, 3.12 or 3.13. Name one: make app PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		version=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
		echo "Installing python$$version-venv"; \
		{ apt-get update && apt-get install -y python$$version-venv; } || \
		{ echo "Python's venv module is missing. Install it: sudo apt install python$$version-venv"; exit 1; }; }
	$(PYTHON) -m venv $(VENV)

$(BIN)/uv: | $(BIN)/python
	-$(PIP) install --quiet "$$(grep '^uv==' requirements-dev.txt || echo uv)"

$(VENV)/.run: requirements.txt pyproject.toml | $(BIN)/python $(BIN)/uv
	$(call install,-r requirements.txt)
	$(call install,--no-deps --editable .)
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.run
	$(call install,-r requirements-dev.txt)
	@touch $@

# the browser that the tests find; else Debian's Chromium, without a window where it is packaged so; else Playwright's own
APT_BROWSER := { $$sudo apt-get install -y -qq --no-install-recommends chromium-headless-shell || \
	$$sudo apt-get install -y -qq --no-install-recommends chromium; }
browser: $(VENV)/.dev
	@export DEBIAN_FRONTEND=noninteractive; \
	$(BIN)/python -c 'import sys; from tests.server import chromium; sys.exit(chromium() is None)' || \
	{ [ "$$(id -u)" = 0 ] && apt-get update -qq && sudo= && $(APT_BROWSER); } || \
	{ sudo="sudo -n" && $(APT_BROWSER); } 2>/dev/null || \
	$(BIN)/python -m playwright install --with-deps chromium || $(BIN)/python -m playwright install chromium || \
	{ echo "The tests need a browser, and none could be installed. Install Chromium by hand: sudo apt install chromium"; exit 1; }

clean:
	rm -rf $(VENV) .pytest_cache .hypothesis .mypy_cache .ruff_cache *.egg-info
