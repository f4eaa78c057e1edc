# Two commands: `make demo` shows it, `make test` proves it. Both set up everything that they need.
SHELL := /bin/sh
.DELETE_ON_ERROR:
.PHONY: demo test check lint unit kernel lab test-oldest test-kernels cluster cluster-down cluster-programs test-cluster cluster-scenarios cluster-parts guest-drivers guest-daemon soak bench image install clean

# Thousands of processes start here, and each would compile what it imports: that is a third of a daemon's start.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
REPORTS := build/reports
PLUGINS := $(patsubst plugins/%/pyproject.toml,plugins/%,$(wildcard plugins/*/pyproject.toml))
SOURCES := meshnet $(PLUGINS) tests conftest.py $(wildcard benchmarks hatch_build.py)
SCRIPTS := $(shell grep -l '^.!/usr/bin/env python' scripts/*)
# What an installation is made of beside the Python files, which are used in place.
INPUTS := pyproject.toml $(PLUGINS:=/pyproject.toml) $(wildcard hatch_build.py meshnet/cni/*.c)
# The cluster's takes half an hour, as root: by hand.
BENCHMARKS := $(filter-out benchmarks/bench_cluster.py,$(sort $(wildcard benchmarks/bench_*.py)))
PYTEST := $(BIN)/python -m pytest -q
# Not by the PYTHON that make was given.
CLUSTER := PYTHON=$(abspath $(BIN)/python) scripts/cluster

demo: install
	$(BIN)/meshnet lab run examples/3node.yml

test: check kernel lab
	@$(PYTHON) scripts/skips $(REPORTS)

check: lint unit

lint: install
	$(BIN)/ruff check $(SOURCES) $(SCRIPTS)
	$(BIN)/ruff format --check $(SOURCES) $(SCRIPTS)
	$(BIN)/mypy meshnet $(wildcard plugins/*/meshnet_* benchmarks)
	$(BIN)/lint-imports

# UNIT: files and folders, if not all of them.
unit: install
	$(PYTEST) -m "not kernel and not lab and not cluster" -n auto --maxprocesses=8 --dist worksteal --junitxml=$(REPORTS)/unit.xml $(UNIT)

# What failed in a tier that works with the kernel is tried once more, visibly, by itself: time is scarce on a busy
# machine. What fails twice has failed. One that was killed has no report, whatever an earlier one left.
AGAIN := --last-failed --last-failed-no-failures none

# These tests wait more than they work: several at a time, each of WORKERS behind a script that keeps it apart.
WORKERS ?= 4
workers = --dist worksteal --tx $(1)*popen//python=scripts/$(2)\ $(abspath $(BIN)/python)

# In namespaces of their own: nothing on this machine is touched.
kernel: install
	@rm -f $(REPORTS)/$@.xml
	$(PYTEST) -m "kernel and not lab" $(call workers,$(WORKERS),in-namespaces) --junitxml=$(REPORTS)/kernel.xml || \
	scripts/in-namespaces $(PYTEST) -m "kernel and not lab" $(AGAIN)

# On the machine itself: a lab brings its own box, and the tests compare the machine before and after.
lab: install
	@rm -f $(REPORTS)/$@.xml
	$(PYTEST) -m lab $(call workers,$(WORKERS),own-records) --junitxml=$(REPORTS)/lab.xml || $(PYTEST) -m lab $(AGAIN)

# With the oldest version of each dependency that pyproject.toml allows, in an environment of their own.
OLDEST := build/oldest
TIERS ?= unit
test-oldest:
	@mkdir -p $(OLDEST)
	@$(PYTHON) scripts/requirements project dependencies | sed 's/>=/==/; s/,.*//' >$(OLDEST)/constraints.txt
	$(MAKE) $(TIERS) VENV=$(OLDEST)/venv REPORTS=$(OLDEST) CONSTRAINTS=$(OLDEST)/constraints.txt

# Debian's own kernel, in two virtual machines at once, of one processor each: 9 minutes on two processors. Left out are
# tests that take long there and tell little of the kernel: the daemon's CNI answers, restarts, and troubles with its store,
# and the tests of the kit itself.
GUESTS := guest-drivers guest-daemon
GUEST_TIERS := $(GUESTS) guest-lab
GUEST_DRIVERS := plugins tests/kernel/test_netlink_*.py tests/kernel/test_panel_*.py tests/cli/test_doctor.py tests/cluster/test_unified.py
GUEST_DAEMON := $(foreach about,direct inspect made_anew pods unseen,tests/kernel/test_daemon_$(about).py)
# Nor those of a load which such a machine cannot make in their time, and of what memory it leaves; nor of repairs by a
# pass, as those that CHECK finds are the same.
GUEST_NOT := honest_frames many_patches_leave_nothing many_new_ones_at_a_time many_cycles test_fuzz pass_alone test_gc
empty :=
GUEST_SLOW := -k "not ($(subst $(empty) $(empty), or ,$(GUEST_NOT)))"
guest = $(PYTEST) -m "kernel and not lab" --tb=short --timeout=300 -o cache_dir=/guest/tmp/cache $(GUEST_SLOW) $(1)
# Of labs, what only that kernel has: netem.
GUEST_LAB := tests/lab/scenarios/test_nodes_far.py
guest_lab = $(PYTEST) -m lab --tb=short --timeout=300 -o cache_dir=/guest/tmp/cache --junitxml=/guest/share/out/guest-lab.xml $(GUEST_LAB)
guest_first = $(call guest,$(1)) $(call workers,1,in-namespaces) --junitxml=/guest/share/out/$@.xml
in_guest = GUEST_LIMIT=1800 GUEST_OUT=$(REPORTS) scripts/in-guest sh -c '{ $(guest_first) || $(call guest,$(1) $(AGAIN)) || $(call guest,$(1) $(AGAIN)); } $(2)'

test-kernels: install
	@scripts/system-packages guest
	@rm -f $(GUEST_TIERS:%=$(REPORTS)/%.xml)
	@# 77: this machine cannot, and it was said why
	scripts/in-guest true && $(MAKE) --jobs=2 --output-sync $(GUESTS) || test $$? = 77
	@test ! -e $(REPORTS)/guest-daemon.xml || $(PYTHON) scripts/skips $(REPORTS) $(GUEST_TIERS:%=--tier %)

guest-drivers: install
	$(call in_guest,$(GUEST_DRIVERS),&& $(guest_lab))

guest-daemon: install
	$(call in_guest,$(GUEST_DAEMON))

# A Kubernetes of three nodes on this machine; its programs are built once, which takes ten minutes.
cluster: install
	@scripts/system-packages cluster
	@$(CLUSTER) up

cluster-down: install
	@$(CLUSTER) down

cluster-programs: install
	@scripts/system-packages cluster
	@$(CLUSTER) programs

# Two halves at once, each with a cluster of its own, since both wait more than they work: what meshnet does on a cluster,
# and what it is made of (the machine, API servers, the image). Each half keeps what failed in it for itself.
HALVES := cluster-scenarios cluster-parts
half = $(PYTEST) -m cluster -o cache_dir=$(REPORTS)/$@.cache $(1)
twice = $(call half,$(1)) --junitxml=$(REPORTS)/$@.xml || $(call half,$(1)) $(AGAIN)

test-cluster: install
	@scripts/system-packages cluster
	@scripts/system-packages image
	@rm -f $(HALVES:%=$(REPORTS)/%.xml)
	@# 77: this machine cannot, and it was said why
	$(CLUSTER) programs && $(MAKE) --jobs=2 --output-sync $(HALVES) || test $$? = 77
	@test ! -e $(REPORTS)/cluster-parts.xml || $(PYTHON) scripts/skips $(REPORTS) $(HALVES:%=--tier %)

cluster-scenarios: install
	$(call twice,tests/cluster/scenarios)

cluster-parts: install
	$(call twice,--ignore=tests/cluster/scenarios tests/cluster tests/image)

# Random trouble for labs of several nodes: MESHNET_SOAK_SECONDS, MESHNET_SOAK_SEED.
soak: install
	MESHNET_SOAK_SECONDS=$${MESHNET_SOAK_SECONDS:-150} $(PYTEST) -m lab -s tests/lab/scenarios/test_nodes_soak.py

bench: install
	@scripts/system-packages bench
	@for script in $(BENCHMARKS); do $(BIN)/python $$script || exit 1; done

# An OCI archive, by Docker or buildah: `docker load`, `ctr -n k8s.io images import`. ARCH=arm64 for nodes of that kind.
image:
	@scripts/docker-builds >/dev/null || scripts/system-packages image
	ARCH=$(ARCH) scripts/image build/meshnet$(if $(ARCH),-$(ARCH)).tar

install: $(VENV)/.installed

$(VENV)/.installed: $(INPUTS)
	@scripts/system-packages
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@# --group came with pip 25.1
	@$(BIN)/python -m pip install -q --disable-pip-version-check 'pip>=25.1'
	@echo "installing meshnet and its drivers into $(VENV)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --editable . $(PLUGINS:%=--editable %) --group dev $(CONSTRAINTS:%=--constraint %)
	@touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache meshnet/cni/bin
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
