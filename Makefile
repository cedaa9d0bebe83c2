# Everything runs in .venv, installed from the hash-pinned locks with plain pip.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q install
export PORT ?= 8000

.PHONY: run test system-test check bench bench-nlu soak rasa rasa-test format lock evaluate licences

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

# What runs in one process, and the crash test of notices. Browsers and killed services take as long again: system-test.
test: .venv/.developing
	@$(BIN)/pytest -n 3 --dist worksteal -m "not browser and not service"
	@echo "Bằng trình duyệt và với dịch vụ bị tắt ngang thì có lệnh riêng: make system-test (trình duyệt cần Chromium)."

system-test: .venv/.developing
	@$(BIN)/pytest -n 3 --dist worksteal -m "browser or service"

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

# The peer of bench_turns is Rasa, trained in the same run: where it can't be installed, that part is left out, and said to be.
bench: .venv/.developing
	-@$(MAKE) -s .venv-rasa/.installed
	@$(BIN)/python -m tests.bench
	@$(BIN)/python -m tests.bench_turns
	@$(BIN)/python -m tests.bench_notices
	@$(BIN)/python -m tests.bench_figures
	@$(BIN)/python -m tests.bench_console
	@$(BIN)/python -m tests.bench_desk
	@$(BIN)/python -m tests.bench_review
	@$(BIN)/python -m tests.bench_dossiers

evaluate: .venv/.developing
	@for set in dev dialogues_dev set_aside dialogues_set_aside; do echo "== $$set"; $(BIN)/motcua evaluate tests/nlu/$$set.yml; done

# The locks are made with uv, which is needed only here.
lock:
	uv pip compile --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-annotate --no-header -q \
		pyproject.toml --extra build -o requirements.lock
	uv pip compile --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-annotate --no-header -q \
		pyproject.toml --extra build --extra dev -c requirements.lock -o requirements-dev.lock

licences: .venv/.installed
	@$(BIN)/python deploy/licences.py >docs/licences.md

# MOTCUA_SOAK_MINUTES (30) of mixed traffic while everything breaks; MOTCUA_SOAK_SEED repeats a run. A full disk needs root.
soak: .venv/.developing
	@$(BIN)/python -m tests.soak
	@MOTCUA_SOAK_KILLS=50 $(BIN)/pytest -n 2 tests/notices/test_exactly_once.py
	@for i in 1 2 3 4 5 6 7 8 9 10; do $(BIN)/pytest -n 2 tests/storage/test_crash.py tests/notices/test_sending.py tests/notices/test_notices_command.py || exit 1; done

# --- Rasa, in an environment of its own (.venv-rasa): Rasa 3.6 wants older packages than the bot.
# Its lock is a known-good set with hashes; after a change of a version, hash it anew:
#   grep -o '^[a-z].*==[^ ]*' requirements-rasa.lock | uv pip compile --no-deps --python-version 3.11 --generate-hashes \
#     --no-emit-index-url --no-annotate --no-header - -o requirements-rasa.lock
PYTHON311 ?= $(shell for p in python3.11 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && echo $$p && break; done)
RASA := RASA_TELEMETRY_ENABLED=false TF_CPP_MIN_LOG_LEVEL=3 PYTHONWARNINGS=ignore .venv-rasa/bin/rasa
RASA_MODEL := models/mot-cua.tar.gz
RASA_LEARNS_FROM := config.yml domain.yml $(shell find nlu procedures_data -name '*.yml' -o -name '*.py' 2>/dev/null)

.venv-rasa/.installed: requirements-rasa.lock
	@test -n "$(PYTHON311)" || { echo "Rasa 3.6 cần đúng Python 3.11 (Debian 12: apt install python3.11-venv; máy khác: pyenv install 3.11)."; exit 2; }
	@$(PYTHON311) -m venv --clear .venv-rasa || { echo "Cần gói venv của Python 3.11 (Debian 12: apt install python3.11-venv)."; rm -rf .venv-rasa; exit 2; }
	@echo "Cài đặt Rasa (một lần, khoảng 3 GB)…"
	@.venv-rasa/bin/python -m pip --disable-pip-version-check -q install --no-deps --ignore-requires-python --require-hashes -r requirements-rasa.lock
	@touch $@

$(RASA_MODEL): .venv-rasa/.installed $(RASA_LEARNS_FROM)
	@mkdir -p models var
	@echo "Kiểm tra dữ liệu rồi huấn luyện Rasa (vài phút)…"
	@$(RASA) data validate --domain domain.yml --data nlu/training >var/rasa-validate.log 2>&1 || { tail -20 var/rasa-validate.log; exit 2; }
	@$(RASA) train nlu --domain domain.yml --nlu nlu/training --out models --fixed-model-name mot-cua >var/rasa-train.log 2>&1 || { tail -20 var/rasa-train.log; exit 2; }
	@touch $@

rasa: $(RASA_MODEL)
	@echo "Rasa ở http://127.0.0.1:5005; chạy trợ lý với Rasa: NLU_ENGINE=rasa make run"
	@$(RASA) run --enable-api --model $(RASA_MODEL) --interface 127.0.0.1 --port 5005

# Components alone, `rasa test nlu`, then conversations, crashes and our own evaluation through a real server.
rasa-test: $(RASA_MODEL) .venv/.developing
	@.venv-rasa/bin/python -m pytest -c /dev/null --rootdir . --confcutdir tests/nlu/components -p no:cacheprovider -q --disable-warnings tests/nlu/components
	@$(BIN)/python -m tests.rasa_questions tests/nlu/dev.yml artifacts/rasa/dev.yml
	@$(RASA) test nlu --model $(RASA_MODEL) --domain domain.yml --nlu artifacts/rasa/dev.yml --out artifacts/rasa/report --no-plot >artifacts/rasa/test.log 2>&1 || { tail -20 artifacts/rasa/test.log; exit 1; }
	@$(BIN)/python -m tests.rasa_questions --report artifacts/rasa/report
	@MOTCUA_TEST_RASA_MODEL=$(RASA_MODEL) $(BIN)/pytest tests/nlu/test_rasa_server.py
	@$(BIN)/python -m tests.rasa_evaluate $(RASA_MODEL)

bench-nlu: .venv-rasa/.installed .venv/.developing
	@$(BIN)/python -m tests.bench_nlu
