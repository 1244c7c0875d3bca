# The same targets serve a laptop and CI. PYTHON chooses the interpreter: 3.11 or 3.12.
PYTHON ?= python3
VENV ?= .venv
PYTHON_MINOR := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
RUN := $(VENV)/bin/python
THJAX := $(VENV)/bin/thjax
TORCH := torch==2.13.0
JUDGED := thjax configs data_pipelines tests benchmarks

.PHONY: env torch demo picture test lint learn judges calibration bench clean

env: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml requirements.txt constraints-$(PYTHON_MINOR).txt
	command -v uv >/dev/null || $(PYTHON) -m pip install --quiet uv
	uv venv --quiet --clear --seed --python $$($(PYTHON) -c 'import sys; print(sys.executable)') $(VENV)
	uv pip install --quiet --python $(RUN) --constraints constraints-$(PYTHON_MINOR).txt --editable '.[speech,media,dev]'
	touch $@

# A CPU build of torch for parity tests; pip, because uv does not read pip's settings for where it lies.
torch: $(VENV)/.torch

$(VENV)/.torch: $(VENV)/.installed
	$(RUN) -m pip install --quiet $(TORCH)
	touch $@

demo: env
	$(THJAX) demo --out out/demo $(if $(RESUME),--resume)

# The README's picture.
picture: demo
	mkdir -p docs
	$(RUN) -m thjax.evaluate.pictures out/demo/contact_sheet.png docs/demo.png

test: torch
	$(RUN) -m pytest -n 2 --dist loadfile

lint: env
	$(VENV)/bin/ruff check $(JUDGED)
	$(VENV)/bin/lint-imports

learn: env
	@test -n "$(SYSTEM)" || { echo "say which: make learn SYSTEM=temporal_gan"; exit 2; }
	$(RUN) -m benchmarks.learn $(SYSTEM)

# All judges trained and examined on the test split; those that measure or that a variant trains by put into the package.
judges: env
	$(RUN) -m benchmarks.judges

# Every metric against planted faults; the matrix that docs/evaluate.md shows.
calibration: env
	$(THJAX) evaluate --calibrate --out out/calibration; held=$$?; \
	cp out/calibration/calibration.json benchmarks/calibration.json; \
	cp out/calibration/checks.json benchmarks/calibration_checks.json; \
	cp out/calibration/calibration.png docs/calibration.png; exit $$held

bench: torch
	$(RUN) -m benchmarks.run

clean:
	rm -rf $(VENV) out build dist *.egg-info
