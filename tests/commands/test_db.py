from __future__ import annotations

from pathlib import Path

import pytest

from bot.cli import main


@pytest.fixture
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOTCUA_VAR_DIR", str(tmp_path / "var"))
    return tmp_path / "var"


def test_upgrade_backup_restore(var: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = str(tmp_path / "saved.sqlite3")
    assert main(["db", "upgrade"]) == 0
    assert main(["db", "upgrade"]) == 0
    assert main(["db", "backup", saved]) == 0
    assert main(["db", "restore", saved]) == 0
    shown = capsys.readouterr()
    assert f"Đã sao lưu vào {saved}" in shown.out
    assert f"Đã phục hồi từ {saved}; tệp cũ giữ ở {var}" in shown.out
    assert shown.err.count("Cơ sở dữ liệu đã ở bản") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["backup", "x"], "hãy chạy: motcua db upgrade"), (["restore", "/nowhere/x"], "không có tệp này"), ([], "VIỆC"),
     (["backup"], "TỆP")],
)  # fmt: skip
def test_bad_input_is_one_line(
    var: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["db", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert shown.err.count("\n") == 1


def test_a_wrong_address(var: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MOTCUA_DATABASE_URL", "mysql://user:s3cret@host/name")
    assert main(["db", "upgrade"]) == 2
    shown = capsys.readouterr().err
    assert "chỉ dùng được SQLite hoặc PostgreSQL" in shown
    assert "s3cret" not in shown
