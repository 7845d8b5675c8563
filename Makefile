# Everything a developer runs. Each target sets up what it needs; nothing but sam-local needs Docker, and nothing
# needs root or a cloud account.
#
#   PYTHON=…        the Python to use (3.11 to 3.14); without it uv takes the first one it finds
#   UV=…            the uv to use; without it the one on PATH, or one installed under .local/tools
#   SIGNET_STACK=…  name of the embedded stack (default signet); stacks of different names run side by side
#   SIGNET_PORT=…   its port (default: a free one)
#   PARALLEL=…      how the tests without the stack are spread over the CPUs; empty: one after the other, in one process
#   FUZZ_SECONDS=…  how long make fuzz tries each of its targets (default 120)
#   SIGNET_LAMBDA_IMAGE=…  image in which make sam-local runs the functions (default: AWS's)
#   FAULTS=…        what make faults is to leave out (python -m tests.faults --help)
#   MUTANTS=…       which mutants make mutants draws, and how many (python -m tests.mutants --help)

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?=
FUZZ_SECONDS ?= 120
# A file's tests stay together: they share its fixtures. tests/conftest.py says which files begin.
PARALLEL ?= --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
UV ?= $(or $(shell command -v uv),.local/tools/uv/bin/uv)
export UV
export UV_NO_PROGRESS := 1
export SAM_CLI_TELEMETRY := 0
python := .venv/bin/python

.PHONY: help demo test check lint tests-without-stack tests-with-stack tests-long tests-sweep bench fuzz faults mutants web up down status metrics example localstack sam-local format schemas requirements lock-tools picture clean

# Also with -j: each part takes what CPUs there are, and some build in the same folders.
.NOTPARALLEL:

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/ready ## the whole loop on the embedded stack, with a report
	@$(python) -m local.demo

test: tests-without-stack tests-long tests-with-stack ## all tests but the sweeps

check: lint tests-without-stack ## format, lint, imports, types, template, tests without the stack

# What `make check test` names twice, make runs once. Types and template are checked side by side: each takes one CPU.
lint: .venv/ready
	$(python) -m ruff format --check .
	$(python) -m ruff check .
	.venv/bin/lint-imports --no-cache --no-logo
	@$(python) -m local validate & validate=$$!; types=0; $(python) -m mypy || types=$$?; wait $$validate && exit $$types

tests-without-stack: .venv/ready
	$(python) -m pytest -m "not integration and not long and not sweep" $(PARALLEL)

# Simulated days, faults at every call, a hundred thousand requests: what make check does without.
tests-long: .venv/ready
	$(python) -m pytest -m "long and not sweep" $(PARALLEL)

tests-sweep: .venv/ready ## whole tables and corpora of which make check and make test try a sample
	$(python) -m pytest -m "sweep and not integration" $(PARALLEL)
	$(python) -m pytest -m "sweep and integration" tests/integration tests/web

# One after the other: they share one stack, and some watch how fast it is.
tests-with-stack: .venv/ready
	$(python) -m pytest -m "integration and not sweep" tests/integration tests/web

bench: .venv/ready ## the figures beside their limits (BENCH="--quick" for the small one, BENCH="--json FILE" to keep them)
	@$(python) -m bench $(BENCH)

# Guided by coverage where the fuzzer has a wheel for this Python; else Hypothesis does what it can.
fuzz: .venv/ready $(UV) ## hostile events and packs, FUZZ_SECONDS (default 120) for each
	@$(UV) pip install --quiet --python .venv --target .local/tools/fuzz --only-binary :all: --require-hashes \
	  --requirement local/requirements-fuzz.txt 2>/dev/null || echo "atheris cannot be installed here (no wheel for this Python?): Hypothesis fuzzes instead" >&2
	@PYTHONPATH=.local/tools/fuzz $(python) -m tests.fuzz.run --seconds $(FUZZ_SECONDS)

faults: .venv/ready ## every fault at every AWS call of sink and log writer (FAULTS="--one-in 10" for a sample)
	@PYTHONPATH=functions/receipt_sink:functions/sth_cron $(python) -m tests.faults $(FAULTS)

mutants: .venv/ready ## small changes to critical modules that a test must notice (MUTANTS="--sample 200")
	@$(python) -m tests.mutants $(MUTANTS)

web: web/verify/dist/verify.html ## the page that checks packs in a browser, as one file (needs Node.js and npm)

web/verify/dist/verify.html: web/verify/node_modules/.package-lock.json web/verify/build.mjs web/verify/released.json $(shell find web/verify/src -type f) \
  $(addprefix layers/signet/signet/pack/resources/,VERIFY.md verify.py)
	@npm run --silent --prefix web/verify build
	@echo "Above: the page's SHA-256. Next: open the file in a browser, type the log id, and drop a pack.zip on it."

# Install scripts stay switched off: none of the pinned packages needs its own.
web/verify/node_modules/.package-lock.json: web/verify/package.json web/verify/package-lock.json
	@command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' \
	  || { echo "Node.js 20.12 or newer and npm are needed: install them (nodejs.org, or your system's packages), then run make again." >&2; exit 1; }
	@npm ci --silent --prefix web/verify --ignore-scripts --no-audit --no-fund \
	  || { echo "npm could not install the page's packages: see that its registry can be reached, then run make again." >&2; exit 1; }
	@touch $@

up: .venv/ready ## start the embedded stack and keep it
	@$(python) -m local up

down: .venv/ready ## stop it
	@$(python) -m local down

status: .venv/ready ## which stacks run
	@$(python) -m local status

metrics: .venv/ready ## the kept stack's metrics in Prometheus' format on 127.0.0.1:9464 (docs/grafana.json shows them)
	@$(python) -m local metrics

example: .venv/ready ## attach examples/orders to the kept stack, call it from four languages, read its receipts in a pack
	@cd .local/$${SIGNET_STACK:-signet} 2>/dev/null && . ./env || { echo "No stack is kept: make up, then make example." >&2; exit 1; }; \
	  PATH="$(CURDIR)/.venv/bin:$(CURDIR)/.local/tools/sam/bin:$$PATH" $(CURDIR)/examples/orders/attach.sh

localstack: .venv/ready ## LocalStack's CloudFormation plans the stack, without Docker (needs Python 3.13)
	@$(python) -m local localstack

sam-local: .venv/ready ## the functions in Lambda's own containers, called and audited (needs a Docker engine, Python 3.13)
	@$(python) -m local sam-local

format: .venv/ready ## format and fix what can be fixed
	$(python) -m ruff format .
	$(python) -m ruff check --fix .

schemas: .venv/ready ## refresh docs/schema, the formats as JSON Schema, from the library's tables
	@$(python) -m tools.make_schemas

# What the Lambda runtime has already: boto3 and its dependencies.
runtime-brings := boto3 botocore jmespath python-dateutil s3transfer six urllib3

requirements: $(UV) ## refresh the layer's requirements from uv.lock
	@$(UV) export --quiet --package signet-pch-layer --no-dev --no-emit-project --frozen --no-header --no-annotate \
	  $(addprefix --no-emit-package ,$(runtime-brings)) --output-file $(or $(OUTPUT),layers/signet/requirements.txt)

lock-tools: $(UV) ## refresh the pins of the emulator, of SAM, of the runtime, of the fuzzer and of LocalStack
	for tool in ministack sam runtime fuzz; do \
	  $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
	    local/requirements-$$tool.in --output-file local/requirements-$$tool.txt; \
	done
	$(UV) pip compile --quiet --upgrade --python-version 3.13 --generate-hashes --no-header \
	  local/requirements-localstack.in --output-file local/requirements-localstack.txt

picture: .venv/ready ## docs/architecture.md's picture, drawn from the imports
	@$(python) tools/draw_architecture.py

clean: ## stop every stack and remove all that was built
	@if [ -x $(python) ]; then $(python) -m local down --all; fi
	rm -rf .venv .local .aws-sam .pytest_cache .mypy_cache .ruff_cache .grimp_cache .hypothesis web/verify/dist web/verify/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Asked for another Python than .venv has, it is made again.
version = $(shell $(1) -c 'import platform; print(platform.python_version())' 2>/dev/null)
anew := $(if $(PYTHON),$(if $(filter $(call version,$(PYTHON)),$(call version,$(python))),,anew))
.PHONY: anew

.venv/ready: uv.lock pyproject.toml layers/signet/pyproject.toml $(UV) $(anew)
	@echo "setting up .venv" >&2
	@$(UV) sync --quiet --frozen --all-packages $(if $(PYTHON),--python $(PYTHON)) \
	  || { echo "The packages could not be installed (above is why): see to it (make clean starts anew), then run make again." >&2; exit 1; }
	@touch $@

.local/tools/uv/bin/uv:
	@echo "installing uv" >&2
	@command -v "$(or $(PYTHON),python3)" >/dev/null \
	  || { echo "There is no $(or $(PYTHON),python3): install Python 3.11 to 3.14, or name one with make PYTHON=…" >&2; exit 1; }
	@$(or $(PYTHON),python3) -m venv --clear .local/tools/uv \
	  || { echo "Python could not make an environment for uv (above is why): see to it (Debian's package python3-venv may be missing), or put uv on PATH; then run make again." >&2; exit 1; }
	@.local/tools/uv/bin/python -m pip install --quiet --disable-pip-version-check "uv>=0.9" \
	  || { echo "uv could not be installed: see that PyPI can be reached (proxy, PIP_INDEX_URL), then run make again." >&2; exit 1; }
