# make app   sets everything up and opens the app
# make test  sets everything up and runs every test
PYTHON ?= python3
PORT ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: app test check format bench bench-peers pictures browser clean help

help:
	@grep -E '^# make' Makefile | cut -c3-
	@echo "make check   formatting, lint and types"
	@echo "make bench   the figures of docs/figures.md (needs TensorFlow; some minutes)"
	@echo "make bench-peers   our search beside other libraries' (half an hour on a quiet machine); QUICK=1 takes two minutes"
	@echo "make pictures   the pictures of the README, taken from the app (some minutes)"
	@echo "make clean   removes the virtual environment and caches; data and models stay"

app: $(VENV)/.run
	@[ -z "$(PORT)" ] || $(BIN)/python -c 'import socket; socket.socket().bind(("", $(PORT)))' 2>/dev/null || \
		{ echo "Port $(PORT) is taken. Choose another one, or none to let the app choose: make app"; exit 1; }
	FASHION16_MANAGE=$${FASHION16_MANAGE-local} $(BIN)/streamlit run streamlit_app.py $(if $(PORT),--server.port $(PORT))

test: $(VENV)/.dev browser
	$(BIN)/python -m pytest

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.served
	$(BIN)/python -m benchmarks.index_search
	$(BIN)/python -m benchmarks.importing
	$(BIN)/python -m benchmarks.labelling
	$(BIN)/python -m benchmarks.label_issues
	$(BIN)/python -m benchmarks.explorer

bench-peers: $(VENV)/.dev
	$(BIN)/python -m benchmarks.peers $(if $(QUICK),--quick)

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
	$(PIP) install --quiet --upgrade pip

$(VENV)/.run: requirements.txt pyproject.toml | $(BIN)/python
	$(PIP) install --quiet -r requirements.txt
	$(PIP) install --quiet --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.txt requirements-train.txt $(VENV)/.run
	$(PIP) install --quiet -r requirements-dev.txt
	@touch $@

# Debian's chromium when it is there or can be installed, else Playwright's own
browser: $(VENV)/.dev
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	{ [ "$$(id -u)" = 0 ] && apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } || \
	{ sudo -n apt-get install -y -qq --no-install-recommends chromium; } 2>/dev/null || \
	$(BIN)/python -m playwright install --with-deps chromium || $(BIN)/python -m playwright install chromium || \
	{ echo "The tests need a browser, and none could be installed. Install Chromium by hand: sudo apt install chromium"; exit 1; }

clean:
	rm -rf $(VENV) .pytest_cache .hypothesis .mypy_cache .ruff_cache *.egg-info
