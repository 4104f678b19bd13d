# Everything a person does here is a target; `make help` lists them. Only python3 (3.11 or newer) and make are needed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --upgrade --strip-extras --allow-unsafe \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host
.DEFAULT_GOAL := help
.PHONY: help demo serve test test-mlflow fuzz lint lint-deploy types contract examples settings workers bench bench-quick chaos chaos-quick audit secrets check lock clean

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name does; do printf '  make %-13s %s\n' "$$name" "$$does"; done

demo: $(VENV)/.service ## start the service, show its main job call by call, and leave it running
	@$(BIN)/python -m tools.demo

serve: $(VENV)/.service ## start the service with its own database (settings: REGISTRY_... variables)
	@$(BIN)/registry serve

test: $(VENV)/.dev ## run the tests on an embedded PostgreSQL, or on the one of REGISTRY_TEST_DATABASE_URL
	$(BIN)/python -m pytest -m "not mlflow and not fuzz" $(ARGS)

test-mlflow: $(VENV)/.dev .venv-mlflow3/.done .venv-mlflow2/.done ## drive the service with real mlflow 3 and 2 clients
	REGISTRY_TEST_MLFLOW3_PYTHON=$(CURDIR)/.venv-mlflow3/bin/python \
	REGISTRY_TEST_MLFLOW2_PYTHON=$(CURDIR)/.venv-mlflow2/bin/python \
	$(BIN)/python -m pytest -m mlflow $(ARGS)

fuzz: $(VENV)/.dev ## send thousands of requests, made from the contract, to a service of its own
	$(BIN)/python -m pytest -m fuzz -s $(ARGS)

lint: $(VENV)/.dev ## check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lint-deploy: .venv-deploy/.done ## check Dockerfile, Kubernetes manifests, alerts and dashboard with linters of their own
	.venv-deploy/bin/hadolint Dockerfile
	.venv-deploy/bin/kubernetes-validate --strict --quiet $(filter-out %/kustomization.yaml,$(wildcard deploy/kubernetes/*.yaml))
	.venv-deploy/bin/python tools/promql.py

types: $(VENV)/.dev ## check types, strictly
	$(BIN)/mypy

contract: $(VENV)/.dev ## write openapi.yaml from the routes
	$(BIN)/python -m tools.openapi > openapi.yaml.new && mv openapi.yaml.new openapi.yaml

examples: $(VENV)/.dev ## take the examples of the contract from a service, then write openapi.yaml
	$(BIN)/python -m tools.examples
	$(MAKE) contract

settings: $(VENV)/.dev ## write the table of settings into the README
	$(BIN)/python -m tools.settings

workers: $(VENV)/.service ## measure which worker class and counts serve best here (needs wrk)
	@$(BIN)/python -m tools.workers

bench: $(VENV)/.dev .venv-mlflow3/.done ## measure against an MLflow server, small and large, into bench/RESULTS.md (needs wrk, pgbench)
	$(BIN)/python -m bench --report bench/RESULTS.md $(ARGS)

bench-quick: $(VENV)/.dev ## measure in two minutes, on a small registry, and print the report
	$(BIN)/python -m bench --quick $(ARGS)

chaos: $(VENV)/.dev ## break the service in every way under load, in a quarter of an hour (ARGS=--soak: and an hour)
	$(BIN)/python -m chaos --report chaos/RESULTS.md $(ARGS)

chaos-quick: $(VENV)/.dev ## the same in a short form
	$(BIN)/python -m chaos --quick $(ARGS)

audit: $(VENV)/.dev ## ask the package index whether what the locks name has known weaknesses
	$(BIN)/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r requirements-dev.lock $(ARGS)

secrets: $(VENV)/.dev ## look for secrets in what git keeps
	$(BIN)/python -m tools.leaks

check: lint types test ## all that a commit has to pass, but for test-mlflow and fuzz

lock: $(VENV)/.dev ## choose the newest versions that pyproject.toml allows, and write them down
	$(COMPILE) --generate-hashes --build-deps-for editable --extra embedded -o requirements.lock pyproject.toml
	$(COMPILE) --generate-hashes --build-deps-for editable --extra embedded --extra otel -c requirements.lock \
		-o requirements-otel.lock pyproject.toml
	$(COMPILE) --generate-hashes --build-deps-for editable --extra embedded --extra otel --extra dev -c requirements-otel.lock \
		-o requirements-dev.lock pyproject.toml
	$(COMPILE) -o requirements/mlflow3.lock requirements/mlflow3.in
	$(COMPILE) -o requirements/mlflow2.lock requirements/mlflow2.in
	$(COMPILE) -o requirements/deploy.lock requirements/deploy.in

clean: ## remove what make has made, except for data
	rm -rf $(VENV) .venv-mlflow3 .venv-mlflow2 .venv-deploy build *.egg-info .mypy_cache .pytest_cache .ruff_cache

# A stamp in the environment says that what it depends on is installed, so that a second make does nothing.
$(VENV)/.service: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Installing the service into $(VENV); this takes about a minute."
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.service
	@echo "Installing the tools for tests and checks into $(VENV)."
	$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

.venv-deploy/.done: requirements/deploy.lock
	$(PYTHON) -m venv .venv-deploy
	.venv-deploy/bin/python -m pip --disable-pip-version-check install -r requirements/deploy.lock
	@touch $@

.venv-mlflow%/.done: requirements/mlflow%.lock
	@echo "Installing mlflow $* into .venv-mlflow$*, for tests only; this takes some minutes."
	$(PYTHON) -m venv .venv-mlflow$*
	.venv-mlflow$*/bin/python -m pip --disable-pip-version-check install -r requirements/mlflow$*.lock
	@touch $@
