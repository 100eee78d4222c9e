# `make results` and `make test` need Python 3.11 or later, nothing else: where `uv` is missing, or
# too old for pyproject.toml, a pinned one is put into .uv/. With uv at hand, the commands below do.
uv := $(shell uv python dir >/dev/null 2>&1 && echo uv || echo .uv/bin/uv)
own_uv := $(filter .uv/%,$(uv))

# quiet: else a line for each package that is downloaded
sync := @echo "Setting up the packages of the pipeline (at first a minute)"; \
	$(uv) sync --quiet --inexact --no-default-groups --group pipeline

# Tests run in as many processes as there are cores, at most 4: each takes up to 2 GB. Those that
# share a server or a costly study run in one (tests/conftest.py).
pytest := pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: results provenance test slow all-tests mutations fuzz check docs gallery lock

results: $(own_uv)  ## every table, figure and the report, into results/; needs the pipeline's packages alone
	$(sync)
	@$(uv) run --no-sync snakemake --cores 8

provenance: results  ## Snakemake's own report, with the rules, their run times and their code
	$(uv) run --no-sync snakemake --report results/provenance.html

test: $(own_uv)
	$(uv) run $(pytest)

slow: $(own_uv)  ## tests of whole studies that take long
	$(uv) run $(pytest) -m slow

all-tests: $(own_uv)  ## both: what they share is made once
	$(uv) run $(pytest) -m ''

mutations: $(own_uv)  ## whether tests find each fault of tests/support/mutations.yaml
	$(uv) run python tests/support/mutate.py

inputs := 6000

fuzz: $(own_uv)  ## damaged inputs of every format, made by seed; `make fuzz inputs=600` is a tenth
	$(uv) run python -m tests.fuzzing.search --inputs $(inputs)

check: $(own_uv)  ## format, lint and types
	$(uv) run ruff format --check
	$(uv) run ruff check
	$(uv) run snakefmt --check Snakefile workflow
	$(uv) run snakemake --lint
	$(uv) run mypy
	$(uv) run lint-imports --no-logo
	$(uv) run python tests/support/unordered_sums.py workflow

docs: $(own_uv)  ## renews the generated pages of docs/ and the graph in README.md
	$(uv) run python docs/renew.py

gallery: provenance  ## docs/gallery.md and its pictures, from the results
	$(uv) run python docs/gallery.py results

lock: $(own_uv)  ## renews every pin: pyproject.toml, envs/requirements.lock, envs/footprint.yaml, uv below
	$(uv) run --no-project --with packaging python envs/renew.py

.uv/bin/uv:  # some systems have a Python without venv, others one without pip
	(python3 -m venv .uv && .uv/bin/pip install --quiet uv==0.13.9) >/dev/null 2>&1 \
	|| (rm -rf .uv && python3 -m pip install --quiet --target .uv uv==0.13.9)
