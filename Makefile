# Everything a developer does here; `make help` lists it.
SHELL := /bin/sh
PY := .venv/bin/python
SOURCES := autossl_panel tests $(wildcard bench) manage.py
.DEFAULT_GOAL := help
.PHONY: help setup demo test cover test-slow lint bench simulate capacity screenshots messages lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

# Stamps: setup runs again only where what it installs from has changed.
.setup-demo: requirements.txt scripts/setup
	scripts/setup demo
	@touch $@

.setup-test: requirements-dev.txt scripts/setup
	scripts/setup test
	@touch $@

.setup-bench: requirements-dev.txt scripts/setup
	scripts/setup bench
	@touch $@

.setup-pictures: requirements-dev.txt scripts/setup
	scripts/setup pictures
	@touch $@

setup: .setup-test  ## build .venv and install missing Debian packages

demo: .setup-demo  ## a hosting server in a box, AutoSSL run on it, the panel to click (ONCE=1: stop after the run)
	@AUTOSSL_STATE_DIR="$(CURDIR)/.sandbox/state" $(PY) manage.py demo $(if $(ONCE),--once)

test: .setup-test  ## all tests but the slow ones
	$(PY) -m pytest -n 2 -m "not slow"

cover: .setup-test  ## the same, with what they do not reach
	$(PY) -m pytest -n 2 -m "not slow" --cov --cov-report=term

test-slow: .setup-test  ## the tests that take minutes: kills on both databases, pages in dark and German, new examples
	$(PY) -m pytest -n 2 -m "slow or hypothesis" --hypothesis-profile=anew

lint: .setup-test  ## ruff, mypy and the import contracts
	$(PY) -m ruff check $(SOURCES)
	$(PY) -m ruff format --check $(SOURCES)
	$(PY) -m mypy
	.venv/bin/lint-imports

bench: .setup-bench  ## speed and memory, side by side with other clients; writes docs/benchmarks.md
	$(PY) -m bench

simulate: .setup-demo  ## a year of 30,000 virtual hosts in simulated time; one line of JSON, 1 where anything expired or was refused
	@AUTOSSL_STATE_DIR="$(CURDIR)/.sandbox/state" $(PY) manage.py simulate --brief $(if $(HOSTS),--hosts $(HOSTS)) $(if $(DAYS),--days $(DAYS))

capacity: .setup-demo  ## what one account carries, found by playing it; writes docs/capacity.md, minutes (LARGE=1: the year of 1,000,000 sites too)
	@AUTOSSL_STATE_DIR="$(CURDIR)/.sandbox/state" $(PY) manage.py simulate --capacity docs/capacity.md $(if $(LARGE),--large)

screenshots: .setup-pictures  ## the pictures of the documents, of a panel at work; writes docs/screenshots
	$(PY) -m tests.pictures docs/screenshots

messages: .setup-test  ## read the texts to translate out of the sources into autossl_panel/locale, and compile them
	AUTOSSL_STATE_DIR="$(CURDIR)/.sandbox/state" $(PY) manage.py makemessages --all --add-location file --ignore bench --ignore tests
	AUTOSSL_STATE_DIR="$(CURDIR)/.sandbox/state" $(PY) manage.py compilemessages --ignore .venv

lock:  ## write the requirements with hashes from pyproject.toml (UPGRADE=1: newest versions)
	scripts/lock

clean:  ## remove what was made here: .venv, caches, .sandbox
	rm -rf .venv .setup-demo .setup-test .setup-bench .setup-pictures .sandbox .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	rm -rf .coverage .coverage.* htmlcov staticfiles build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
