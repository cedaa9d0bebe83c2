"""Every figure in our files occurs in the official record, or carries its own source."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.catalog import coverage
from bot.catalog.catalog import load_catalog
from bot.catalog.facts import check_facts
from bot.catalog.imports.records import Record, read_json

ROOT = Path(__file__).resolve().parents[2]
RECORDS = ROOT.parent / "shared" / "data" / "commune_procedures.json"
FIRST = (
    "1.001193 1.000894 1.000656 1.004873 1.004884 1.004859 2.000635 1.001022 1.000689 1.004837 2.000528 2.000806 "
    "2.000815 2.000884 2.001035 2.000992 2.000908 1.004194 1.004222 1.002755 1.010028 1.010041 1.010038 2.001159 "
    "1.001612 1.001776 1.014027 1.001699 1.012753 1.013225"
).split()


def test_the_first_thirty_are_there() -> None:
    catalog = load_catalog(ROOT / "procedures_data")
    assert [code for code in FIRST if catalog.get(code) is None] == []
    assert all(len(p.examples) >= 12 and p.everyday_names for p in catalog.procedures.values())


@pytest.mark.skipif(not RECORDS.exists(), reason="không có ../shared/data để đối chiếu")
def test_figures_occur_in_the_record() -> None:
    records = {record["code"]: record for record in json.loads(RECORDS.read_text("utf-8"))}
    catalog = load_catalog(ROOT / "procedures_data")
    found = [
        str(finding)
        for procedure in catalog.procedures.values()
        if procedure.code in records
        for finding in check_facts(procedure, records[procedure.code])
    ]
    assert found == []


@pytest.mark.skipif(not RECORDS.exists(), reason="không có ../shared/data để đối chiếu")
def test_what_the_record_states_is_present_or_the_file_says_why() -> None:
    records = {record.code: record for record in read_json(RECORDS) if isinstance(record, Record)}
    catalog = load_catalog(ROOT / "procedures_data")
    pairs = [(records[p.code], p) for p in catalog.procedures.values() if p.code in records and not p.superseded_by]
    rows = coverage.table(pairs, {})
    unexplained = [code for row in rows for code in row.missing if not catalog.procedures[code].verifier_notes]
    assert unexplained == []
    stated, present = sum(row.stated for row in rows), sum(row.present for row in rows)
    assert present / stated >= 0.95


def test_a_wrong_figure_is_found() -> None:
    procedure = load_catalog(ROOT / "procedures_data").procedures["2.000992"]
    record = {"code": procedure.code, "fees": "11,000 Việt Nam Đồng/trường hợp"}
    assert "10000" in {finding.value for finding in check_facts(procedure, record)}
