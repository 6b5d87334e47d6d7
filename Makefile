# Two commands: `make run` and `make test`. Both install what they need into .venv/ first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := app widgets models resources tests benchmarks
PACKAGES := libgl1 libegl1 libglib2.0-0 libfontconfig1 libdbus-1-3 libxkbcommon0 libxcb-cursor0 libxcb-icccm4 \
            libxcb-keysyms1 libxkbcommon-x11-0 libxcb-shape0 libxcb-xkb1 fonts-dejavu-core fonts-inter python3-venv

.PHONY: run test soak lint bench train clean system

run: $(VENV)/.installed
	$(BIN)/python -m braggscope.app.tour

test: $(VENV)/.installed-dev lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

# The long forms of the batteries, hours: docs/reliability.md.
SHARE ?= 1
BATTERIES ?= tests/reliability
soak: $(VENV)/.installed-dev
	BRAGGSCOPE_SOAK=$(CURDIR)/soak-figures BRAGGSCOPE_SOAK_SHARE=$(SHARE) \
	  $(BIN)/python -m pytest -n0 -m '' --timeout=0 -s $(BATTERIES)

lint: $(VENV)/.installed-dev .links
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy .links/braggscope
	$(BIN)/lint-imports --config pyproject.toml

bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.run

train: $(VENV)/.installed
	$(BIN)/braggscope train braggnn -o braggnn.safetensors --minutes 60

# What Qt needs and a bare Debian lacks. Nothing is asked of apt when all of it is there.
system:
	@if command -v apt-get >/dev/null 2>&1; then \
	  missing=""; for p in $(PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	  if [ -n "$$missing" ]; then \
	    root=""; [ "$$(id -u)" = 0 ] || root=sudo; \
	    echo "Installing system libraries:$$missing"; \
	    $$root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$root apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	  fi; \
	else echo "No apt-get here: if Qt does not start, install its libraries by hand (see README)."; fi

$(VENV)/bin/python: | system
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Braggscope needs Python 3.11 or newer"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check --upgrade pip setuptools wheel

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e .
	$(BIN)/python -m braggscope.app.engine.warmup
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev,cluster]'
	$(BIN)/python -m braggscope.app.engine.warmup
	@touch $@ $(VENV)/.installed

# Type checkers do not follow editable installs of renamed folders; links do.
.links:
	mkdir -p .links/braggscope
	for d in app widgets models resources; do ln -sfn ../../$$d .links/braggscope/$$d; done

clean:
	rm -rf $(VENV) .links build *.egg-info demo-output
