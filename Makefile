# Every target makes the environment that it needs, once: `make demo` and `make test` work on a fresh clone.
# Another Python: make test PYTHON=python3.13 VENV=.venv-3.13

PYTHON ?= python3
VENV ?= .venv
# For pytest, in each target that runs it: make e2e PYTEST_ARGS=-x
PYTEST_ARGS ?=

# Dozens of tests start Python: with compiled files each takes half as long.
unexport PYTHONDONTWRITEBYTECODE

VERSIONS := 3.10 3.11 3.12 3.13 3.14
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet
# On the PATH, because --verifytypes does not heed --pythonpath.
PYRIGHT := PATH="$(abspath $(BIN)):$$PATH" pyright

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help ci demo test coverage test-tools test-stand-in test-rooms test-top test-all test-wheel e2e agent foreign neighbours package deploy-check deploy-check-there rotation-drill faults soak fuzz bench check format docs docs-browser docs-zensical build clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-14s  %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

ci: ## Run what CI runs: when this passes, so does CI
	bash .ci/run

demo: $(VENV)/.demo ## Run the quickstart's handler against a local stand-in for the extension
	$(BIN)/lambdasecrets invoke examples/quickstart/src/app.py:handler \
		--secrets examples/quickstart/secrets.toml --event '{"order_id": 7}'

test: $(VENV)/.test ## Run the tests (5 minutes)
	@$(TEST_PARTS)

coverage: $(VENV)/.test ## Run the tests and require full coverage of the package and of the tests (9 minutes)
	@$(BIN)/python -m coverage erase
	@$(TEST_PARTS) MEASURE="-m coverage run"
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report

# Four parts side by side, each in its own order: they wait for sockets and processes as much as they compute.
TEST_PARTS = echo "Four parts run side by side; each is shown when it ends." && \
	$(MAKE) --no-print-directory --output-sync --jobs 4 --keep-going test-tools test-stand-in test-rooms test-top
TEST_PART = $(BIN)/python $(MEASURE) -m pytest -o cache_dir=.pytest_cache/$@ $(PYTEST_ARGS)
# pytest ends with 5 where PYTEST_ARGS choose no test of this part.
test-tools: ; @$(TEST_PART) $(wildcard tests/dev/test_*.py) || [ $$? = 5 ]
test-stand-in: ; @$(TEST_PART) $(dir $(wildcard tests/dev/*/__init__.py)) || [ $$? = 5 ]
test-rooms: ; @$(TEST_PART) $(filter-out tests/dev/,$(dir $(wildcard tests/*/__init__.py))) || [ $$? = 5 ]
test-top: ; @$(TEST_PART) $(wildcard tests/test_*.py) || [ $$? = 5 ]

test-all: ## Run the tests on every supported Python of this machine (PATH and pyenv)
	@found=; failed=; \
	for version in $(VERSIONS); do \
		python=; \
		for candidate in "python$$version" "$$HOME/.pyenv/versions/$$version".*/bin/python; do \
			if "$$candidate" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$$version')" 2>/dev/null; \
			then python=$$candidate; break; fi; \
		done; \
		if [ -z "$$python" ]; then echo "== Python $$version: not found"; continue; fi; \
		echo "== Python $$version: $$python"; \
		found="$$found $$version"; \
		$(MAKE) --no-print-directory test PYTHON="$$python" VENV=".venv-$$version" || failed="$$failed $$version"; \
	done; \
	echo "== Tested on:$${found:- nothing}. Failed on:$${failed:- none}."; \
	[ -n "$$found" ] && [ -z "$$failed" ]

test-wheel: build ## Run the tests of the sdist against the built wheel
	rm -rf build/wheel
	mkdir -p build/wheel
	tar -xzf dist/*.tar.gz -C build/wheel --strip-components 1
	rm -rf build/wheel/lambdasecrets
	$(PYTHON) -m venv --clear build/wheel/.venv
	build/wheel/.venv/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	build/wheel/.venv/bin/python -m pip install --quiet "$$(echo dist/*.whl)[aws,cli]" --group test
	cd build/wheel && .venv/bin/python -m pytest $(PYTEST_ARGS)

e2e: $(VENV)/.e2e ## Run handlers under Amazon's Lambda emulator and runtime client, with a double of AWS
	$(BIN)/python -m pytest -m e2e tests/e2e $(PYTEST_ARGS)

# The first time cargo builds the agent, which takes 5 minutes; it is kept in .cache/agent.
agent: $(VENV)/.e2e ## Run against Amazon's own agent, built with cargo, and compare the stand-in with it
	$(BIN)/python -m pytest -m agent tests/agent $(PYTEST_ARGS)

foreign: $(VENV)/.test ## Try servers and clients in Go, Node, Java and Rust, as far as they are found
	$(BIN)/python -m pytest -m foreign tests/foreign $(PYTEST_ARGS)

neighbours: $(VENV)/.neighbours ## Run beside the real packages of web frameworks, queues, collectors and durable functions
	$(BIN)/python -m pytest -m neighbours tests/neighbours $(PYTEST_ARGS)

package: $(VENV)/.test build ## Pack an example for x86_64 and arm64, Python 3.10 to 3.14, and open what was packed
	$(BIN)/python -m pytest -m package tests/deploy $(PYTEST_ARGS)

# In an environment of its own: SAM's CLI holds packages back that the other tests need newer.
deploy-check: ## Judge what deploys the examples by cfn-lint, SAM, the CDK and Terraform's parser
	@$(MAKE) --no-print-directory deploy-check-there VENV=$(VENV)-deploy

deploy-check-there: $(VENV)/.deploy build
	$(BIN)/python -m pytest -m deploy tests/deploy $(PYTEST_ARGS)

# PostgreSQL comes from no package index: root gets Debian's, everyone else is told what to install.
rotation-drill: $(VENV)/.e2e ## Rotate a PostgreSQL server's password under a handler, for docs/rotation.md
	@ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends postgresql; } || true
	$(BIN)/python -m examples.rotation.drill --page docs/rotation.md

faults: $(VENV)/.test ## Play every fault at every moment, write the matrix into docs/reliability.md (7 minutes)
	$(BIN)/python -m tests.reliability.faults

soak: $(VENV)/.test ## Invoke 135,000 times from up to 16 threads under random faults, write the figures down (9 minutes)
	$(BIN)/python -m tests.reliability.soak

fuzz: $(VENV)/.fuzz ## Fuzz the parsers, guided by coverage, write the figures down (3 minutes; Linux)
	$(BIN)/python -m tests.reliability.fuzz

bench: $(VENV)/.bench ## Measure what resolving costs, write docs/performance.md and its plots (15 minutes; Linux)
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.page

check: $(VENV)/.check ## Check format, lint, types, the public types' completeness and the import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYRIGHT)
	$(PYRIGHT) --verifytypes lambdasecrets --ignoreexternal
	$(BIN)/lint-imports

format: $(VENV)/.check ## Format the code and apply the safe fixes
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

docs: $(VENV)/.docs ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Chromium comes from no package index: root gets Debian's, everyone else is told what to install.
docs-browser: $(VENV)/.browser docs ## Look at every page with Chromium, on a desk and on a phone, light and dark (8 minutes)
	@command -v chromedriver >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium chromium-driver; } || true
	$(BIN)/python -m pytest -m browser tests/browser $(PYTEST_ARGS)

# Material for MkDocs is maintained until May 2027; its makers' next generator builds the same mkdocs.yml.
docs-zensical: $(VENV)/.zensical ## Build the documentation with Zensical, into build/zensical
	{ echo "site_dir: build/zensical"; cat mkdocs.yml; } > .zensical.yml
	$(BIN)/zensical build --strict --config-file .zensical.yml
	rm .zensical.yml

build: $(VENV)/.build ## Build the sdist and the wheel into dist/
	rm -rf dist
	$(BIN)/python -m build

clean: ## Remove what was built and cached (environments stay)
	rm -rf build dist site htmlcov .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

# --- Environments: a stamp says which group is installed, and goes stale with pyproject.toml -----------------------

# pip learnt `--group` in 25.1.
$(VENV)/.pip:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10))" || { \
		echo "lambdasecrets needs Python 3.10 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)."; \
		echo "Name another one: make $(or $(MAKECMDGOALS),test) PYTHON=python3.12"; \
		exit 1; } >&2
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --upgrade "pip>=25.1"
	@touch $@

$(VENV)/.demo: $(VENV)/.pip pyproject.toml
	$(INSTALL) --editable ".[cli]"
	@touch $@

$(VENV)/.test: $(VENV)/.pip pyproject.toml
	$(INSTALL) --editable ".[aws,cli]" --group test
	@touch $@

$(VENV)/.e2e: $(VENV)/.pip pyproject.toml
	$(INSTALL) --editable ".[aws,cli]" --group test --group e2e
	@touch $@

$(VENV)/.deploy: $(VENV)/.pip pyproject.toml
	$(INSTALL) --editable ".[cli]" --group deploy
	@touch $@

$(VENV)/.neighbours: $(VENV)/.pip pyproject.toml
	$(INSTALL) --editable ".[aws,cli]" --group test --group neighbours
	@touch $@

$(VENV)/.fuzz: $(VENV)/.pip pyproject.toml
	$(INSTALL) --editable . --group fuzz
	@touch $@

$(VENV)/.bench: $(VENV)/.pip pyproject.toml
	$(INSTALL) --editable ".[aws,cli]" --group test --group bench
	@touch $@

$(VENV)/.check: $(VENV)/.pip pyproject.toml
	$(INSTALL) --editable ".[aws,cli]" --group test --group check
	@touch $@

$(VENV)/.docs: $(VENV)/.pip pyproject.toml
	$(INSTALL) --editable ".[cli]" --group docs
	@touch $@

$(VENV)/.browser: $(VENV)/.pip pyproject.toml
	$(INSTALL) --editable ".[aws,cli]" --group test --group browser
	@touch $@

$(VENV)/.zensical: $(VENV)/.pip pyproject.toml
	$(INSTALL) --editable ".[cli]" --group docs --group zensical
	@touch $@

$(VENV)/.build: $(VENV)/.pip pyproject.toml
	$(INSTALL) --group build
	@touch $@
