"""Bad input on the command line: one clear line, exit code 2, nothing changed. And what good input gives."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service_process import ServiceProcess

ROOT = Path(__file__).resolve().parents[2]
GOOD = ROOT / "procedures_data"


def _run(*arguments: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MOTCUA", "TWILIO", "TELEGRAM"))}
    return subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        input=stdin,
        capture_output=True,
        cwd=ROOT,
        env=clean | environment,
        check=False,
    )


def _lines(result: subprocess.CompletedProcess[bytes]) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.decode().splitlines()]


def test_usage_is_one_line() -> None:
    for arguments in ((), ("bay",), ("parse", "--la"), ("dossiers",)):
        result = _run(*arguments)
        assert result.returncode == 2
        assert len(result.stderr.decode().strip().splitlines()) == 1


def test_parse_goes_on_after_a_broken_line() -> None:
    good = json.dumps({"id": 1, "text": "đăng ký kết hôn cần gì"}).encode()
    lines = [good, b"{broken", b'{"id": 3}', b'{"id": 4, "text": "\xff\xfe"}', b'{"id": 5, "text": ""}', good]
    result = _run("parse", stdin=b"\n".join(lines) + b"\n")
    assert result.returncode == 2
    told = _lines(result)
    assert [("error" in line) for line in told] == [False, True, True, True, False, False]
    assert told[0]["procedure"] == "1.000894"
    assert told[0]["engine"] == "embedded"
    assert set(told[0]) == {
        "id", "intent", "confidence", "aspects", "procedure", "procedures", "candidates", "dossier_codes", "engine"
    }  # fmt: skip
    assert told[2]["id"] == 3
    assert (told[4]["intent"], told[4]["candidates"]) == ("out_of_scope", [])


def test_parse_survives_odd_texts() -> None:
    texts = ["😀", "x" * 100_000, "\u0000\u202e\u200b", "a\u0301" * 5000, "H30.99.01-261116-0001 " * 500]
    stdin = "\n".join(json.dumps({"id": n, "text": text}) for n, text in enumerate(texts)).encode()
    result = _run("parse", stdin=stdin)
    assert result.returncode == 0
    told = _lines(result)
    assert told[0]["intent"] == "out_of_scope"
    assert told[4]["dossier_codes"] == ["H30.99.01-261116-0001"]


def test_converse_keeps_memory_and_the_given_time() -> None:
    turns = [{"conversation": "a", "text": "đăng ký giám hộ cần gì"}, {"conversation": "a", "text": "mấy ngày xong"}]
    stdin = "\n".join(map(json.dumps, turns)).encode()
    told = _lines(_run("converse", "--now", "2026-11-25T08:00", stdin=stdin))
    assert [line["procedures"] for line in told] == [["1.004837"], ["1.004837"]]
    assert told[1]["aspects"] == ["processing_time"]


def test_answer() -> None:
    told = json.loads(_run("answer", "1.004873", "--aspect", "fee", "--json").stdout)
    assert told["code"] == "1.004873"
    assert list(told["aspects"]) == ["fee"]
    assert (told["as_of"], told["verified"]) == ("2026-07", False)
    assert _run("answer", "9.999999").returncode == 2


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        ("short_name: Đăng ký khai sinh", "short_name: [1]", "short_name"),
        ("field: ho-tich", "field: ho-tich\nmau_sac: xanh", "mau_sac"),
        ("amount: 8000", "amount: -8000", "fees.2.amount"),
        ("choose_when:", "valid_from: 2026-02-31\nchoose_when:", "valid_from"),
        ('code: "1.001193"', "code: 1.001193", "code"),
        ("name: Đăng ký khai sinh", "name: Đăng ký khai sinh\nname: Hai lần", "name"),
    ],
)
def test_catalog_check_names_file_line_and_field(tmp_path: Path, before: str, after: str, field: str) -> None:
    catalog = tmp_path / "catalog"
    shutil.copytree(GOOD, catalog)
    path = catalog / "ho-tich" / "1.001193.yml"
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), "utf-8")
    result = _run("catalog", "check", str(catalog))
    assert result.returncode == 2
    assert f"{path}:" in result.stderr.decode()
    assert f": {field}: " in result.stderr.decode()


def test_catalog_check_between_files(tmp_path: Path) -> None:
    catalog = tmp_path / "catalog"
    shutil.copytree(GOOD, catalog)
    path = catalog / "chung-thuc" / "2.000992.yml"
    text = path.read_text("utf-8")
    path.write_text(text.replace("dịch thuật công chứng", "giấy độc thân", 1), "utf-8")
    (catalog / "ho-tich" / "con").mkdir()
    result = _run("catalog", "check", str(catalog))
    assert result.returncode == 2
    assert "giay doc than" in result.stderr.decode()


def test_settings_name_the_variable() -> None:
    for name, value in (
        ("PORT", "abc"),
        ("MOTCUA_NOTICE_DELAY_MINUTES", "-1"),
        ("TWILIO_ACCOUNT_SID", "AC" + "0" * 32),
    ):
        result = _run("catalog", "check", **{name: value})
        assert result.returncode == 2
        assert name.split("_", maxsplit=1)[0] in result.stderr.decode()


@pytest.mark.service
def test_a_second_serve_on_one_file_is_refused(tmp_path: Path) -> None:
    environment = {"MOTCUA_VAR_DIR": str(tmp_path), "PORT": "0"}
    with ServiceProcess(tmp_path):
        second = _run("serve", **environment)
        assert second.returncode == 2
        assert "đang có một dịch vụ khác" in second.stderr.decode()
        assert _run("notices", "list", **environment).returncode == 0
