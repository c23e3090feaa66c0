# `make demo` and `make test` need nothing but Python 3.11: they make .venv and install what they need.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

BENCHES := bench-batch bench-jobs bench-specs bench-big bench-neighbours bench-start

# Tests and modules stay compiled from one run to the next, whatever the shell says: half of what a start takes.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: venv demo quick test test-real test-container test-sockets test-editor test-browser check reference import-report verify-catalog bench bench-quick bench-all $(BENCHES) soak attack fuzz fuzz-properties fuzz-service clean

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,aws,google,http2,jwt,socks]'
	touch $@

venv: .venv/ready  ## the environment in .venv, with the package

demo: .venv/ready  ## a tour: job service, connector service, jobs over gRPC, a local run
	@$(BIN)/python -m yaml_connector.demo

# Here and in `test`, a file stays in one process, so that what its tests share is made once.
quick: .venv/ready  ## the tests that neither start processes nor wait, in parallel (30 s on two cores)
	$(BIN)/python -m pytest -n logical --dist loadfile -m "not slow" --hypothesis-profile quick tests/unit tests/docs tests/typing

# Four processes for two cores, because these tests wait, too. Files that take long come first, so that none is left to
# one process at the end (tests/conftest.py).
test: .venv/ready  ## all tests, in parallel (four minutes on two cores)
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

# Not part of `test`: installs Ray, Slurm, Celery with Flower, Prefect, Dagster, and Airflow (1.3 GB in /tmp), starts each on
# loopback, stops it.
test-real: .venv/ready  ## the specs of the catalog against real backends (ONLY=prefect for one)
	$(BIN)/python -m pytest -m real -rs $(if $(ONLY),tests/integration/real/test_$(ONLY)*.py,tests/integration/real)

test-sockets: .venv/ready  ## every contract test of the catalog a second time, over real sockets (half a minute)
	$(BIN)/yaml-connector test --real-sockets connectors.d yaml_connector/catalog tests/unit/catalog/corners

# Not part of `test`: needs node, and installs the YAML language server of the editors (npm, 27 MB in .cache).
test-editor: .venv/ready  ## the JSON Schemas in a real editor's language server: completion, hover, diagnostics
	npm install --silent --no-audit --no-fund --no-save --prefix .cache/editor yaml-language-server@1.25.0
	$(BIN)/python -m pytest -m editor -rs tests/unit/cli

# Not part of `test`: installs an S3 server, and pandas (0.3 GB), and Slurm in /tmp.
test-container: .venv/ready  ## decorated functions as jobs of a backend, through S3, by Flyte's own code (3 minutes)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[container-tests]'
	$(BIN)/python -m pytest -m "container or real" -rs tests/integration/container

test-browser: .venv/ready  ## the page of `yaml-connector docs` and the status page in Chromium (apt-get install chromium)
	$(BIN)/python -m pytest -m browser -rs tests/unit/cli tests/integration/service/test_status_page.py

check: .venv/ready  ## format, lint, types, specs and their contract tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/yaml-connector validate connectors.d
	$(BIN)/yaml-connector test connectors.d

reference: .venv/ready  ## the field tables of docs/reference.md, from the models, and docs/catalog.md and .html, from the specs
	$(BIN)/python scripts/reference.py
	$(BIN)/yaml-connector catalog list --format markdown > docs/catalog.md
	$(BIN)/yaml-connector catalog list --format html > docs/catalog.html

import-report: .venv/ready  ## what `new --from-arazzo` makes of the documents in a folder: make import-report ARAZZO=DIR
	$(BIN)/python scripts/import_report.py $(ARAZZO)

# The models are fetched by hand: each spec's head names those that it was read in. They are not part of the project.
verify-catalog: .venv/ready  ## the catalog's recordings against vendors' models: make verify-catalog MODELS=DIR (ONLY=spec for one)
	$(BIN)/python -m scripts.verify_catalog $(MODELS) $(if $(ONLY),--only $(ONLY))

bench: .venv/ready  ## CPU and calls per second against hand-written connectors (about 4 minutes)
	$(BIN)/python -m bench calls $(BENCH) $(if $(RESULTS),--json $(RESULTS)/calls.json)

bench-quick: .venv/ready  ## the same, coarse, in a minute
	$(BIN)/python -m bench calls --quick

# With more options as in `make bench-jobs BENCH="--jobs 1000"`, and JSON files as in `make bench-all RESULTS=folder`.
$(BENCHES): bench-%: .venv/ready  ## batches, many jobs, specs, big answers, neighbours, starting: docs/performance.md
	$(BIN)/python -m bench $* $(BENCH) $(if $(RESULTS),--json $(RESULTS)/$*.json)

bench-all: bench $(BENCHES)  ## all benches, one after the other (about an hour)

soak: .venv/ready  ## 1,000 tasks as Flyte executes them, faults, 100 kills of two replicas (8 minutes; SOAK="--kills 10" for less)
	$(BIN)/python -m tests.integration.soak.soak --strict $(SOAK)

# ONLY=CASE for a single case; `ATTACK=--help` names them. ATTACK="--seconds 20 -v" for more of each.
attack: .venv/ready  ## hostile calls, metas, inputs and backends against one service with 16 neighbours (about 5 minutes)
	$(BIN)/python -m tests.integration.attack.attack $(if $(ONLY),--only "$(ONLY)") $(ATTACK)

fuzz-properties: .venv/ready  ## every property test with 1,000 new examples (some 15 minutes; `make test` has 60, always the same)
	$(BIN)/python -m pytest -n 2 -m hypothesis --hypothesis-profile thorough

fuzz: .venv/ready  ## loading what nobody would write, 100,000 cases (about 4 minutes; FUZZ="--first 100000" for others)
	$(BIN)/python -m tests.integration.fuzz.fuzz --cases 100000 $(FUZZ)

fuzz-service: .venv/ready  ## metas, tokens, inputs and templates to a running service, 100,000 cases (about 5 minutes; FUZZ as above)
	$(BIN)/python -m tests.integration.fuzz.fuzz_service --cases 100000 $(FUZZ)

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
