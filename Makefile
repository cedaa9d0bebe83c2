# Everything runs in .venv, installed from the hash-pinned locks with plain pip.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q install
export PORT ?= 8000

.PHONY: run test check bench soak rasa rasa-test format lock evaluate

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Cần Python 3.11 trở lên (python3)."; exit 2; }
	@$(PYTHON) -m venv .venv || { echo "Cần gói venv của Python (Debian: apt install python3-venv)."; rm -rf .venv; exit 2; }

.venv/.installed: requirements.lock pyproject.toml | .venv/bin/python
	@echo "Cài đặt các gói (một lần)…"
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation --no-index -e .
	@touch $@

.venv/.developing: requirements-dev.lock .venv/.installed
	@echo "Cài đặt các gói để thử (một lần)…"
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

run: .venv/.installed
	@MOTCUA_DEMO=1 $(BIN)/motcua db upgrade
	@MOTCUA_DEMO=1 MOTCUA_NOTICE_FROM_HOUR=$${MOTCUA_NOTICE_FROM_HOUR:-0} MOTCUA_NOTICE_TO_HOUR=$${MOTCUA_NOTICE_TO_HOUR:-24} $(BIN)/motcua serve

test: .venv/.developing
	@$(BIN)/pytest -n 2 --dist worksteal

check: .venv/.developing
	@$(BIN)/ruff format --check -q .
	@$(BIN)/ruff check -q .
	@$(BIN)/mypy
	@$(BIN)/lint-imports -q 2>/dev/null || $(BIN)/lint-imports
	@$(BIN)/motcua catalog check
	@$(BIN)/motcua notices check

format: .venv/.developing
	@$(BIN)/ruff check -q --fix . || true
	@$(BIN)/ruff format -q .

bench: .venv/.developing
	@$(BIN)/python -m tests.bench
	@$(BIN)/python -m tests.bench_notices

evaluate: .venv/.developing
	@for set in dev dialogues_dev set_aside dialogues_set_aside; do echo "== $$set"; $(BIN)/motcua evaluate tests/nlu/$$set.yml; done

# The locks are made with uv, which is needed only here.
lock:
	uv pip compile --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-annotate --no-header -q \
		pyproject.toml --extra build -o requirements.lock
	uv pip compile --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-annotate --no-header -q \
		pyproject.toml --extra build --extra dev -c requirements.lock -o requirements-dev.lock

soak: .venv/.developing
	@MOTCUA_SOAK_KILLS=50 $(BIN)/pytest -n 2 tests/notices/test_exactly_once.py
	@for i in 1 2 3 4 5 6 7 8 9 10; do $(BIN)/pytest -n 2 tests/storage/test_crash.py tests/notices/test_sending.py tests/notices/test_notices_command.py || exit 1; done

rasa rasa-test:
	@echo "Chưa có: việc của issue «Rasa». nlu/rasa.py và config.yml đã sẵn; máy chủ Rasa chạy trong môi trường riêng."; exit 2
