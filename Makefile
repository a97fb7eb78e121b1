# The two commands of a fresh checkout are `make tour` and `make test`; `make` alone lists the rest.
# Everything happens in .venv, which is made on first use and brought up to date when what it was
# made from changes. Variables: PYTHON (3.11 or newer), TORCH_INDEX (another index to take torch
# from), ARGS (passed on to the tour or to pytest), JOBS (test processes), ROOM, ONLY, DRY (bench).

PYTHON ?= python3
TORCH_INDEX ?=
ARGS ?=
ROOM ?=
ONLY ?=
DRY ?=
FUZZ_SECONDS ?= 120
FUZZ_SEEDS ?= 2000
JOBS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$((n < 4 ? n : 4)))

BIN := .venv/bin
READY := .venv/.ready
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install
CPP := $(shell find csrc -type f 2>/dev/null)
# The editable install knows the modules by name: one that comes, goes or moves is a reason to
# install again. The list is written only when it has changed.
MODULES := .venv/.modules
LIST_MODULES := find src -name '*.py' | LC_ALL=C sort | cksum
$(shell test ! -f $(MODULES) || test "$$($(LIST_MODULES))" = "$$(cat $(MODULES))" || \
    { $(LIST_MODULES) > $(MODULES); })
# The tests bring their own processes; one thread each keeps those from waiting for one another.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help setup tour test lint types docs bench build check-wheel sanitize fuzz stubs cpp clean distclean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## make .venv and install sestina into it (the others do this by themselves)

tour: $(READY)  ## run the main job of every room on real input; pictures in tour/
	$(BIN)/sestina tour $(ARGS)

test: $(READY)  ## run the tests, doctests and the code of README and docs
	$(PYTEST) -n $(JOBS) --dist loadgroup $(ARGS)

lint: $(READY)  ## check style, format and import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

types: $(READY)  ## check types
	$(BIN)/mypy

docs: $(READY)  ## build the documentation in docs/_build/html, warnings being errors
	$(BIN)/sphinx-build -W -n --keep-going -q docs docs/_build/html

bench: $(READY) .venv-bench-$(ROOM)/.ready  ## measure against peers: ROOM=ntk [ONLY=bench_x] [DRY=1]
	$(BIN)/python -m benchmarks.run $(ROOM) $(if $(ONLY),--only $(ONLY)) $(if $(DRY),--dry)

build: $(READY)  ## make the source distribution and the wheel in dist/
	rm -rf dist
	$(BIN)/python -m build --outdir dist

check-wheel: build  ## install the wheel where there is no compiler, and run the tour from it
	$(BIN)/python .ci/check_wheel.py dist

sanitize: $(READY)  ## run the C++ tests under the address and undefined-behaviour sanitizers
	$(BIN)/cmake -S . -B build/sanitize -DCMAKE_BUILD_TYPE=RelWithDebInfo -DSESTINA_PYTHON=OFF \
	    -DSESTINA_CPP_TESTS=ON -DSESTINA_SANITIZE=address,undefined
	$(BIN)/cmake --build build/sanitize --parallel $(JOBS)
	$(BIN)/ctest --test-dir build/sanitize --output-on-failure --no-tests=error

fuzz: $(READY)  ## hostile input to the readers for FUZZ_SECONDS, FUZZ_SEEDS random graphs to the compiler
	SESTINA_FUZZ_SEEDS=$(FUZZ_SEEDS) $(PYTEST) -q -m fuzz tests/fuser
	end=$$(($$(date +%s) + $(FUZZ_SECONDS))); while [ $$(date +%s) -lt $$end ]; do \
	    SESTINA_HYPOTHESIS=fuzz $(PYTEST) -q -m fuzz tests || exit 1; done

stubs: $(READY)  ## write the stubs of the compiled extensions anew
	for stub in src/sestina/*/_native.pyi; do room=$$(basename $$(dirname $$stub)); \
	    $(BIN)/python -m nanobind.stubgen -q -m sestina.$$room._native -o $$stub || exit 1; done

cpp: $(READY)  ## rebuild the C++ extension in place, quickly, while working on it
	$(PIP) --quiet --no-build-isolation --no-deps -e .

clean:  ## remove what was built, except .venv
	rm -rf build dist tour docs/_build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

distclean: clean  ## remove .venv and the environments of the peers as well
	rm -rf .venv .venv-bench-*

# torch comes first and by itself, so that TORCH_INDEX decides its build and no second one is pulled.
$(READY): pyproject.toml constraints.txt CMakeLists.txt $(CPP) $(wildcard $(MODULES))
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit( \
	    "error: %s is Python %d.%d; sestina needs 3.11 or newer: make PYTHON=python3.11 ..." \
	    % (sys.executable, v[0], v[1]))'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --quiet $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch
	$(PIP) --quiet -e '.[dev,docs]'
	@$(LIST_MODULES) > $(MODULES)
	@touch $@

.venv-bench-%/.ready: benchmarks/%/requirements.txt
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(@D)/bin/python -m pip install --quiet --no-deps -r $<
	test ! -d benchmarks/$*/site || cp benchmarks/$*/site/*.* "$$($(@D)/bin/python -c \
	    'import sysconfig; print(sysconfig.get_path("purelib"))')"
	@touch $@

.venv-bench-/.ready:
	@echo 'error: ROOM is empty; say which room to measure, e.g. make bench ROOM=ntk' >&2; exit 1
