# `make score` and `make test` set up what they need. PYTHON may name another Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: help score setup test lint train-seeds train-taught train-news train-fast leaderboard report clean

help:
	@echo "make score        set up and score the example articles"
	@echo "make setup        install what training and evaluation need"
	@echo "make test         set up, check style and types, run the tests"
	@echo "make train-seeds  set up and fine-tune on the seeds alone, into models/minilm"
	@echo "make train-taught set up, train three teachers on the seeds (hub and GPU) and a student: models/minilm-taught"
	@echo "make train-news   the same with your annotated news and other files in data/, into models/default"
	@echo "make train-fast   set up and teach half of models/default's layers what it knows, on the same files: models/fast"
	@echo "make leaderboard  set up, train every variant on the seeds, benchmark them: eval/LEADERBOARD.md (half an hour)"
	@echo "make report       set up, measure the default model: docs/report.html, docs/report.json and docs/index.svg"
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

# Three teachers, then a student; what is there already and up to date is not trained again.
TEACHERS = for seed in 1 2 3; do $(BIN)/python -m training $(1) --seed $$seed --out models/$(2)-$$seed --if-changed || exit; done

train-taught: .venv/full
	$(call TEACHERS,configs/large/mpnet-base.yaml,mpnet-base)
	$(BIN)/python -m training configs/large/minilm-taught.yaml

train-news: .venv/full
	$(call TEACHERS,configs/news/mpnet-base-news.yaml,mpnet-base-news)
	$(BIN)/python -m training configs/news/minilm-news.yaml --out models/default --replace

train-fast: .venv/full
	$(BIN)/python -m training configs/news/minilm-3-news.yaml --if-changed
	$(BIN)/python -m training configs/news/fast.yaml --replace

# PRIVATE may name held-out files of your own to measure on too; no sentence of theirs is written anywhere.
leaderboard: .venv/full
	$(BIN)/python -m eval benchmark configs/*.yaml --model models/default $(addprefix --private ,$(PRIVATE))

report: .venv/full
	$(BIN)/python -m eval models/default --html docs/report.html --json docs/report.json $(addprefix --private ,$(PRIVATE))
	mkdir -p build
	$(BIN)/detente score seeds/articles.jsonl --out build/seed-articles.jsonl
	$(BIN)/detente index build/seed-articles.jsonl --by year --out build/index.csv --plot docs/index.svg

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
	rm -rf .venv build runs .mypy_cache .pytest_cache .ruff_cache
