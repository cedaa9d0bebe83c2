"""``motcua dossiers`` from the shell."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlmodel import select

from bot.cli import main
from bot.dossiers.records import COLUMNS
from bot.storage.database import Database
from bot.storage.tables import Dossier

CODE = "H30.99.01-261116-0001"


@pytest.fixture(autouse=True)
def _here(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MOTCUA_VAR_DIR", str(tmp_path / "var"))


def file(folder: Path, *statuses: str, phone: str = "") -> Path:
    row = dict.fromkeys(COLUMNS, "")
    lines = [",".join(COLUMNS)]
    for number, status in enumerate(statuses, 1):
        told = row | {"code": f"H30.99.01-261116-{number:04d}", "status": status, "phone": phone}
        lines.append(",".join(told[name] for name in COLUMNS))
    path = folder / "hồ sơ.csv"
    path.write_text("\n".join(lines), "utf-8")
    return path


def count(database: Database) -> int:
    with database.read() as session:
        return len(session.exec(select(Dossier)).all())


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main(["dossiers", *map(str, arguments)])
    told = capsys.readouterr()
    return status, told.out, told.err


def test_import_reports_and_a_repeat_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = file(tmp_path, "4", "9")
    assert run(capsys, "import", path) == (0, "mới 2, thay đổi 0, không đổi 0, bị loại 0\n", "")
    assert run(capsys, "import", path) == (0, "mới 0, thay đổi 0, không đổi 2, bị loại 0\n", "")
    assert run(capsys, "import", file(tmp_path, "4", "10"))[1] == "mới 0, thay đổi 1, không đổi 1, bị loại 0\n"


def test_bad_rows_are_named_good_ones_go_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sqlite_database: Database
) -> None:
    path = file(tmp_path, "4", "12")
    status, out, err = run(capsys, "import", path)
    assert (status, out) == (2, "mới 1, thay đổi 0, không đổi 0, bị loại 1\n")
    assert err == f"{path}:3: status: «12» sai; cần số từ 1 đến 10\n"
    assert count(sqlite_database) == 1


def test_strict_is_all_or_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sqlite_database: Database
) -> None:
    status, out, err = run(capsys, "import", "--strict", file(tmp_path, "4", "12"))
    assert (status, out) == (2, "")
    assert "không nhập dòng nào" in err
    assert count(sqlite_database) == 0
    assert run(capsys, "import", file(tmp_path, "4", "9"), "--strict")[0] == 0
    assert count(sqlite_database) == 2


@pytest.mark.parametrize("name", ["missing.csv", "a.txt"])
def test_a_bad_file_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    (tmp_path / "a.txt").touch()
    status, _, err = run(capsys, "import", tmp_path / name)
    assert status == 2
    assert err.count("\n") == 1


def test_set_status_and_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "import", file(tmp_path, "4", phone="0951234567"))
    assert run(capsys, "set-status", "h30.99.01 261116 0001", "5", "--note", "Thiếu  bản vẽ")[:2] == (
        0,
        f"{CODE}: chuyển sang 5 (cần bổ sung giấy tờ)\n",
    )
    assert run(capsys, "set-status", CODE, "5")[1] == f"{CODE}: không đổi, đã ở 5 (cần bổ sung giấy tờ)\n"
    status, out, _ = run(capsys, "show", CODE.lower())
    assert status == 0
    assert "5 (cần bổ sung giấy tờ)" in out
    assert "Thiếu bản vẽ" in out
    assert "+8495****567" in out
    assert "1234567" not in out


@pytest.mark.parametrize(
    "arguments",
    [
        ("set-status", CODE, "10"),  # not from 4
        ("set-status", CODE, "11"),
        ("set-status", CODE, "9" * 5000),
        ("set-status", CODE, "chín"),
        ("set-status", "1.001193", "5"),
        ("set-status", "H30.99.01-261116-0777", "5"),
        ("set-status", CODE, "5", "--note", "x" * 501),
        ("show", "H30.99.01-261116-0777"),
        ("show", "1.001193"),
        ("show",),
        ("nope",),
    ],
)
def test_wrong_use_is_one_line_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sqlite_database: Database, arguments: tuple[str, ...]
) -> None:
    run(capsys, "import", file(tmp_path, "4"))
    status, out, err = run(capsys, *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    with sqlite_database.read() as session:
        assert session.get_one(Dossier, CODE).status == 4
