"""The kept catalogue is the same as the read one, and never outlives a change."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bot.catalog.catalog import load_catalog
from bot.catalog.kept import load_kept
from bot.catalog.loading import CatalogError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    root = tmp_path / "procedures"
    (root / "chung-thuc").mkdir(parents=True)
    shutil.copy(ROOT / "procedures_data" / "fields.yml", root)
    for code in ("2.000815", "2.000884"):
        text = (ROOT / "procedures_data" / "chung-thuc" / f"{code}.yml").read_text("utf-8")
        kept = text[: text.index("siblings:")] + text[text.index("audience:") :]
        (root / "chung-thuc" / f"{code}.yml").write_text(kept, "utf-8")
    return root


def test_the_same_again_and_changes_are_seen(catalog: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    first = load_kept(catalog, folder)
    assert load_kept(catalog, folder) == first == load_catalog(catalog)
    (kept,) = folder.iterdir()
    file = catalog / "chung-thuc" / "2.000815.yml"
    file.write_text(file.read_text("utf-8").replace("short_name: ", "short_name: Mới, "), "utf-8")
    assert load_kept(catalog, folder).procedures["2.000815"].short_name.startswith("Mới, ")
    assert [path.name for path in folder.iterdir()] != [kept.name]
    file.write_text("code: 1", "utf-8")
    with pytest.raises(CatalogError):
        load_kept(catalog, folder)


def test_a_broken_one_is_as_good_as_none(catalog: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    first = load_kept(catalog, folder)
    (kept,) = folder.iterdir()
    kept.write_bytes(b'[{}, [{"code": "x"}]]')
    assert load_kept(catalog, folder) == first
    folder.chmod(0o500)
    assert load_kept(catalog, folder) == first
    folder.chmod(0o700)
