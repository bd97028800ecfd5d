# The two commands are `make book` and `make test`; `make help` lists the rest.
# Conda users run them in the environment of environment.yml as `make book VENV=$CONDA_PREFIX`.

VENV ?= .venv
JOBS ?= 2
PYTHON_IN := $(VENV)/bin/python
INSTALLED := $(VENV)/.facekit-installed
PAGES := _build/html
NOTEBOOKS := $(sort $(wildcard book/*.ipynb book/*/*.ipynb))
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: help book test lab notebooks bench clean

help: ## list the commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST)

$(INSTALLED): pyproject.toml scripts/install.sh
	@sh scripts/install.sh "$(VENV)"
	@touch $@

book: $(INSTALLED) ## build the book's pages from the committed outputs
	$(VENV)/bin/jupyter-book build . --all -q -W -n --keep-going
	@echo "The book is built: open file://$(CURDIR)/$(PAGES)/index.html"

test: $(INSTALLED) book ## check style, run the tests and every notebook, check the built pages
	@sh scripts/browser.sh
	$(PYTHON_IN) -m ruff check .
	$(PYTHON_IN) -m ruff format --check .
	$(ONE_THREAD) $(PYTHON_IN) -m pytest -q -n $(JOBS) --dist loadscope --nbval --nbval-current-env --nbval-cell-timeout 600 tests $(NOTEBOOKS)

lab: $(INSTALLED) ## open the book in JupyterLab
	$(PYTHON_IN) -m jupyter lab --notebook-dir book

notebooks: $(INSTALLED) ## run every notebook again and save its outputs
	$(PYTHON_IN) scripts/run_notebooks.py $(NOTEBOOKS)

bench: $(INSTALLED) ## time the package against its peers
	@for file in tests/benchmarks/bench_*.py; do echo "== $$file"; $(PYTHON_IN) $$file || exit 1; done

clean: ## remove the built pages and caches, keep the environment
	rm -rf _build .pytest_cache .ruff_cache .hypothesis
	find book facekit tests -name __pycache__ -type d -prune -exec rm -rf {} +
