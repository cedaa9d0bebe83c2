"""The repository as a Rasa project: what can be held without Rasa itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.catalog.catalog import load_catalog
from nlu.components.catalogue import ROOT, CatalogueError, files_of, read_entries
from nlu.entries import fingerprint
from nlu.port import INTENTS
from nlu.training_data import RASA_ONLY, TRAINING, load_training


def _items() -> Iterator[dict[str, Any]]:
    for path in TRAINING.rglob("*.yml"):
        yield from yaml.load(path.read_text("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["nlu"]  # noqa: S506


def test_rasa_reads_the_same_procedures_as_the_checked_catalogue() -> None:
    plain, checked = read_entries(ROOT / "procedures_data"), load_catalog(ROOT / "procedures_data").entries()
    assert plain == sorted(checked, key=lambda entry: entry.code)
    assert fingerprint(plain) == fingerprint(checked)


@pytest.mark.parametrize(
    ("text", "told"), [("- a", "cần 'code'"), ("code: 1", "cần 'code'"), ("a: [", "không đọc được")]
)
def test_a_file_that_is_no_procedure_is_named(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "ho-tich").mkdir()
    (tmp_path / "ho-tich" / "1.yml").write_text(text, "utf-8")
    with pytest.raises(CatalogueError, match=rf"1\.yml: {told}"):
        read_entries(tmp_path)


def test_the_offices_own_files_are_no_procedures() -> None:
    assert not any(path.parent.name == "local" for path in files_of(ROOT / "procedures_data"))


def test_the_domain_lists_every_label_and_every_kind_of_span() -> None:
    domain = yaml.safe_load((ROOT / "domain.yml").read_text("utf-8"))
    items = [item for item in _items() if "intent" in item]
    labels = {item["intent"].partition("/")[0] for item in items}
    spans = {kind for item in items for kind in re.findall(r"\]\((\w+)\)", item["examples"])}
    assert set(domain["intents"]) == labels | set(INTENTS)
    assert set(domain["entities"]) == spans


def test_what_only_rasa_learns_is_not_in_the_embedded_engines_content() -> None:
    content = load_training()
    assert "dossier_code" not in content.patterns
    assert not any("H30.99.01-261116-0001" in example.text for example in content.examples)
    assert list((TRAINING / RASA_ONLY).glob("*.yml"))


@pytest.mark.parametrize("name", ["config.yml", "tests/nlu/stock_config.yml"])
def test_rasa_has_nothing_to_write_into_a_configuration(name: str) -> None:
    config = yaml.safe_load((ROOT / name).read_text("utf-8"))
    assert {"assistant_id", "recipe", "language", "pipeline", "policies"} <= set(config)


def test_every_component_of_ours_that_the_pipeline_names_is_there() -> None:
    named = [part["name"] for part in yaml.safe_load((ROOT / "config.yml").read_text("utf-8"))["pipeline"]]
    ours = [name.rsplit(".", 1) for name in named if name.startswith("nlu.")]
    assert len(ours) == 4
    for module, kind in ours:
        source = (ROOT / f"{module.replace('.', '/')}.py").read_text("utf-8")
        assert f"class {kind}(" in source


def test_the_lock_pins_by_hash_and_names_no_place() -> None:
    text = (ROOT / "requirements-rasa.lock").read_text("utf-8")
    pinned = re.findall(r"^([a-z0-9._-]+)==\S+ \\$", text, re.MULTILINE)
    assert {"rasa", "tensorflow", "underthesea", "pytest"} <= set(pinned)
    assert len(pinned) == text.count("==")
    assert "://" not in text
