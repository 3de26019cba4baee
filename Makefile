# Two targets are all a newcomer needs: `make demo` shows the main job, `make test` runs every test.
# Both set up what they need: a virtual environment from requirements.lock, every download checked by its hash.

BIN := .venv/bin
READY := .venv/.ready
# `make demo HOSPITAL=hapi` takes a real HAPI FHIR server instead of the built-in hospital.
HOSPITAL ?= sandbox
# `make demo LIKE=epic` (oracle, athena): the built-in hospital behaves like that one.
LIKE ?= hapi
PYTEST ?= -n 3 --dist loadfile --no-loadscope-reorder

.PHONY: demo run hapi record test check chaos chaos-matrix scheduled bench lock clean

demo: $(READY)
ifeq ($(HOSPITAL),hapi)
	@scripts/setup-system jdk
	scripts/hapi $(BIN)/fhir-bridge demo --cases fixtures/cases --hospital '{}'
else
	$(BIN)/fhir-bridge demo --cases fixtures/cases --like $(LIKE)
endif

run: $(READY)
	$(BIN)/fhir-bridge demo --cases fixtures/cases --serve

hapi: $(READY)
	@scripts/setup-system jdk
	scripts/hapi

record: $(READY)
	@scripts/setup-system jdk
	$(BIN)/python scripts/record.py

test: $(READY)
	@scripts/setup-system jdk postgresql pgbouncer chromium
	$(BIN)/pytest $(PYTEST)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_lock.py

# Random kills and the whole fault matrix: as long as you like, so not part of the suite (`make chaos N=2000 DATABASE=postgresql LIKE=epic`).
# REPORT is a file that keeps each round: what it holds counts, and the next run goes on from there.
N ?= 500
DATABASE ?= sqlite
chaos: $(READY)
	@scripts/setup-system postgresql
	PYTHONPATH=tests $(BIN)/python tests/faults/chaos.py -n $(N) --database $(DATABASE) --like $(LIKE) $(if $(REPORT),--report $(REPORT))

PROCESSES ?= 2
chaos-matrix: $(READY)
	PYTHONPATH=tests $(BIN)/python tests/faults/matrix.py --processes $(PROCESSES) $(if $(REPORT),--report $(REPORT))

# A sync every minute beside a posting clinic, in real time (`make scheduled MINUTES=5 DATABASE=postgresql`).
MINUTES ?= 5
scheduled: $(READY)
	@scripts/setup-system postgresql
	PYTHONPATH=tests $(BIN)/python tests/faults/scheduled.py --minutes $(MINUTES) --database $(DATABASE)

bench: $(READY)
	$(BIN)/python -m tests.bench

# The locks name packages, versions and hashes, and no address: they install from wherever pip is set up to look.
# requirements.lock is all of it; requirements-run.lock is its part that runs the bridge.
COMPILE := build/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --all-extras pyproject.toml
lock: $(READY)
	$(BIN)/python -m venv build/uv
	build/uv/bin/pip install --quiet uv
	$(COMPILE) --group dev --output-file requirements.lock
	$(COMPILE) --constraints requirements.lock --output-file requirements-run.lock

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis tests/hapi/target

$(READY): requirements.lock pyproject.toml
	@scripts/setup-venv $(PYTHON)
	@touch $@
