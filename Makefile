# Two commands are enough: `make demo` and `make test`. Both keep their environment in .venv.
# Python is looked for from outside: in here pyenv would obey .python-version, which is for the Space, and refuse where that
# one is not installed. Then every folder of PATH and of pyenv; what does not run or cannot make an environment is passed over.
PYTHON ?= $(shell cd /; IFS=:; for python in python3 python3.12 python3.11 python3.13 \
	$$(for folder in $$PATH $${PYENV_ROOT:-$$HOME/.pyenv}/versions/*/bin; do printf '%s:' $$folder/python3; done); do \
	$$python -c 'import ensurepip, sys, venv; sys.version_info < (3, 11) and sys.exit(1); print(sys.executable)' 2>/dev/null && break; done)
VENV := .venv
BIN := $(VENV)/bin
unexport PYTHONDONTWRITEBYTECODE  # where it is set, every start would compile everything again
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test check unit slow e2e audiocraft examples gallery bench clean space space-check

demo: $(VENV)/.core  ## start the page; its address is printed
	$(BIN)/python -m musiscene serve

test: $(VENV)/.test check unit slow e2e  ## everything the tests need, then the tests

check: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(VENV)/.test
	$(BIN)/python -m pytest -n 2 -m "not e2e and not slow"

slow: $(VENV)/.test audiocraft
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --durations=15 -m slow  # many wait for processes

e2e: $(VENV)/.test
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=15 -m e2e

audiocraft: $(VENV)/.test  ## the environment of the audiocraft backend, beside this one
	$(BIN)/python -m musiscene.soundtracks._audiocraft.install

examples: $(VENV)/.core  ## render the example clips anew
	$(BIN)/python assets/make_examples.py

gallery: $(VENV)/.core  ## compare the examples once; the page then shows them at once, and so does a Space
	for clip in assets/examples/*.mp[34]; do \
		$(BIN)/python -m musiscene compare $$clip --profile sketch --out gallery/.made/$$(basename $$clip) || exit 1; done
	$(BIN)/python -m musiscene showcase gallery/.made --out gallery/examples --title "The examples, compared"
	rm -rf gallery/.made

bench: $(VENV)/.test  ## all the figures of docs/benchmarks.md
	for script in benchmarks/[a-z]*.py; do $(BIN)/python $$script || exit 1; done

space-check: $(VENV)/.core  ## what has to hold before a Space is pushed; in an environment made for it
	$(BIN)/python -m musiscene.space_cli check

space: $(VENV)/.core  ## push to a Space: make space SPACE=OWNER/NAME, or make space OWNER/NAME; GPU=1 for ZeroGPU
	$(BIN)/python -m musiscene.space_cli push $(if $(GPU),--gpu) $(or $(SPACE),$(filter-out space,$(MAKECMDGOALS)))

ifeq ($(firstword $(MAKECMDGOALS)),space)  # OWNER/NAME is no target to make
$(filter-out space,$(MAKECMDGOALS)):
	@:
endif

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml | $(BIN)/python
	$(PIP) install -e .
	touch $@

$(VENV)/.test: pyproject.toml tests/install_system.sh | $(BIN)/python
	bash tests/install_system.sh
	$(PIP) install -e '.[dev,models]'
	touch $@ $(VENV)/.core

clean:
	rm -rf $(VENV) .venv-audiocraft .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis screenshots
