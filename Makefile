# The commands of this repository.  `make demo` and `make test` set up what they need.
.PHONY: demo test check ci bench fix proto proto-fresh docs lock sbom packages tpm delta clean
RUN = .venv/bin/
# Any Python from 3.11 serves; name another with PYTHON=...
PYTHON ?= python3

# Programs are started thousands of times by the tests: what Python compiled once is kept, whatever the environment
# says.  Without it each start compiles 1,300 modules: a second of work becomes seven.
unexport PYTHONDONTWRITEBYTECODE

# uv lives in its own environment: a sync removes from .venv what the lock does not name.
.uv/bin/uv:
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install -q --disable-pip-version-check 'uv==0.13.9'

SOURCES_C = $(wildcard edge_agent/*/*.c)
.venv/ready: pyproject.toml setup.py requirements.lock $(SOURCES_C) | .uv/bin/uv
	test -d .venv || .uv/bin/uv venv -q --python "$(PYTHON)" .venv
	.uv/bin/uv pip sync -q --require-hashes requirements.lock
	.uv/bin/uv pip install -q --no-deps -e .
	touch $@

lock: .uv/bin/uv
	.uv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --extra cloud --extra edge --extra edge-aws --extra edge-fleetwise --extra edge-mf4 --extra edge-viss --extra pkcs11 --extra release --extra sim \
	    --group dev pyproject.toml -o requirements.lock
	.uv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --extra tpm -c requirements.lock pyproject.toml -o requirements-tpm.lock
	.uv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --extra delta -c requirements.lock pyproject.toml -o requirements-delta.lock
	echo 'kuksa-client==0.6.0' | .uv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-header - -o requirements-kuksa.lock
	echo 'velocitas-sdk==0.15.7' | .uv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-header - -o requirements-velocitas.lock

# Clients of others that tests put before our doors.  kuksa-client pins its tools and brings a package called
# `tests`, Velocitas' SDK pins old ones: each has an environment and a lock file of its own.
.kuksa/ready: requirements-kuksa.lock | .uv/bin/uv
	test -d .kuksa || .uv/bin/uv venv -q --python "$(PYTHON)" .kuksa
	.uv/bin/uv pip sync -q --python .kuksa/bin/python --require-hashes requirements-kuksa.lock
	touch $@

# Its old gRPC has wheels for Python 3.8 to 3.12: where there is none the test says that the SDK is missing.
.velocitas/ready: requirements-velocitas.lock | .uv/bin/uv
	test -d .velocitas || .uv/bin/uv venv -q --python "$(PYTHON)" .velocitas
	-.uv/bin/uv pip sync -q --only-binary :all: --python .velocitas/bin/python --require-hashes \
	    requirements-velocitas.lock && touch $@

# What Fairway is made of (CycloneDX), from the lock files alone; a test holds it against them.
sbom: .venv/ready
	$(RUN)python .ci/sbom.py

node_modules/ready: package.json package-lock.json
	npm install --no-save --ignore-scripts --no-audit --no-fund
	touch $@

demo: .venv/ready
	$(RUN)fairway demo $(ARGS)

# Real brokers and databases for the end-to-end tests: installed when this user may, named when not.
packages:
	sh .ci/packages

# Keys in a TPM: compiled against libtss2-dev, where that is installed; tests say so where it is not.
.venv/tpm: .venv/ready requirements-tpm.lock packages
	if pkg-config --exists tss2-esys 2>/dev/null; then .uv/bin/uv pip install -q --require-hashes -r requirements-tpm.lock; fi
	touch $@

tpm: .venv/tpm

# Differences applied in little memory: compiled, where there is a compiler; tests say so where there is none.
.venv/delta: .venv/ready requirements-delta.lock packages
	if command -v c++ >/dev/null 2>&1; then .uv/bin/uv pip install -q --require-hashes -r requirements-delta.lock; fi
	touch $@

delta: .venv/delta

# One process for each core; a file's tests stay together.  What starts whole programs by the dozen comes after them.
# Some of it looks at times: one after the other, unless PROGRAM_WORKERS says how many side by side.
WORKERS ?= $(shell nproc)
PROGRAM_WORKERS ?= 0
test: .venv/tpm .venv/delta .kuksa/ready .velocitas/ready
ifdef ARGS
	$(RUN)python -m pytest -q $(ARGS)
else
	$(RUN)python -m pytest -q -n $(WORKERS) --dist loadfile --ignore=tests/e2e --ignore=tests/docs
	$(RUN)python -m pytest -q -n $(PROGRAM_WORKERS) --dist loadfile tests/e2e tests/docs
endif

check: .venv/ready node_modules/ready
	$(RUN)ruff format --check .
	$(RUN)ruff check .
	$(RUN)mypy
	$(RUN)lint-imports
	$(RUN)codespell
	npx --no-install buf lint proto

proto-fresh: proto
	git diff --exit-code -- proto fairway/v1 fairway/foreign

ci: test check proto-fresh

bench: .venv/ready
	$(RUN)python -m benchmarks $(ARGS)

fix: .venv/ready
	$(RUN)ruff check --fix .
	$(RUN)ruff format .

proto: .venv/ready node_modules/ready
	npx --no-install buf format -w proto
	PATH="$(CURDIR)/.venv/bin:$$PATH" $(RUN)python -m grpc_tools.protoc -I proto --python_out=. --grpc_python_out=. \
	    --mypy_out=. --mypy_grpc_out=. $$(find proto -name '*.proto' | sort)

clean:
	rm -rf .venv .kuksa .velocitas .uv node_modules build fairway.egg-info
