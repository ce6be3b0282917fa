# `make score` and `make test` set up what they need. PYTHON may name another Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: help score setup test lint train-seeds leaderboard report clean

help:
	@echo "make score        set up and score the example articles"
	@echo "make setup        install what training and evaluation need"
	@echo "make test         set up, check style and types, run the tests"
	@echo "make train-seeds  set up and train the default variant on the seeds alone, into models/minilm"
	@echo "make leaderboard  set up, train every variant on the seeds, benchmark them: eval/LEADERBOARD.md (half an hour)"
	@echo "make report       set up, measure the default model: docs/report.html and docs/report.json"
	@echo "make clean        remove what these made"

score: .venv/core
	$(BIN)/detente score examples

setup: .venv/full

test: .venv/full lint
	$(BIN)/python -m pytest

lint: .venv/full
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

train-seeds: .venv/full
	$(BIN)/python -m training configs/minilm.yaml

# PRIVATE may name held-out files of your own to measure on too; no sentence of theirs is written anywhere.
leaderboard: .venv/full
	$(BIN)/python -m eval benchmark configs/*.yaml --model models/default $(addprefix --private ,$(PRIVATE))

report: .venv/full
	$(BIN)/python -m eval models/default --html docs/report.html --json docs/report.json $(addprefix --private ,$(PRIVATE))

# The stamps stand for what is installed: the package alone, or with all that training and tests need.
.venv/python:
	$(PYTHON) -m venv .venv
	touch $@

.venv/core: .venv/python pyproject.toml constraints.txt
	$(PIP) --editable .
	touch $@

.venv/full: .venv/python pyproject.toml constraints.txt
	$(PIP) --editable ".[train,dev]"
	touch $@ .venv/core

clean:
	rm -rf .venv runs .mypy_cache .pytest_cache .ruff_cache
