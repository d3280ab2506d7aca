# Everything a newcomer needs: Python >= 3.11 and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help setup dev demo serve test check format bench clean

help: ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(VENV)/.setup: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Toril needs Python 3.11 or newer; set PYTHON=…") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[all]'
	touch $@

$(VENV)/.dev: $(VENV)/.setup
	$(BIN)/python tests/support/dev_requirements.py > $(VENV)/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(VENV)/dev.txt
	touch $@

setup: $(VENV)/.setup ## a virtual environment with Toril and its extras

dev: $(VENV)/.dev ## the same with what the tests need

demo: $(VENV)/.setup ## a firm's invoices to PDF and by mail, and a job of every other type
	$(BIN)/toril demo

serve: $(VENV)/.setup ## work the ready-made queues, and the HTTP API on port 8080, until Ctrl-C
	$(BIN)/toril serve

test: $(VENV)/.dev ## all tests
	$(BIN)/python -m pytest -n 3 --dist worksteal -q

check: $(VENV)/.dev ## format, lint and types
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/mypy

format: $(VENV)/.dev ## put the code in its format
	$(BIN)/ruff format src tests benchmarks examples
	$(BIN)/ruff check --fix src tests benchmarks examples

bench: $(VENV)/.dev ## side by side with other queues, PDF files, mail; takes minutes, run it alone
	$(BIN)/python -m benchmarks.run --install
	$(BIN)/python -m benchmarks.run
	$(BIN)/python benchmarks/bench_pdf.py
	$(BIN)/python benchmarks/bench_outbox.py

clean: ## remove what was made here
	rm -rf $(VENV) .toril .pytest_cache .mypy_cache .ruff_cache
