"""The catalogue: all procedures, checked against each other, found by code."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.catalog.loading import FIELDS_FILE, CatalogError, Fault, load_fields, load_procedures
from bot.catalog.schema import FieldInfo, Procedure, Provenance
from nlu.entries import Entry
from nlu.normalize import fold


@dataclass(frozen=True)
class Catalog:
    """Procedures by code, fields by directory name."""

    procedures: Mapping[str, Procedure]
    fields: Mapping[str, FieldInfo]

    def get(self, code: str) -> Procedure | None:
        """The procedure of that code, or None."""
        return self.procedures.get(code)

    def current(self, code: str) -> str:
        """The code in force: follows ``superseded_by`` (bounded, so a loop cannot hang)."""
        for _ in range(5):
            procedure = self.procedures.get(code)
            if procedure is None or procedure.superseded_by is None:
                break
            code = procedure.superseded_by
        return code

    def entries(self) -> list[Entry]:
        """What the language engine needs, in the order of the codes."""
        return [
            Entry(
                p.code,
                p.name,
                p.short_name,
                p.everyday_names,
                p.examples,
                tuple(sibling.code for sibling in p.siblings),
                p.superseded_by,
            )
            for p in self.procedures.values()
        ]


def cross_faults(loaded: Iterable[tuple[Path, Procedure]], fields: Mapping[str, FieldInfo]) -> list[Fault]:
    """Faults between files: duplicate codes, names claimed twice, references to nothing."""
    faults: list[Fault] = []
    first: dict[str, tuple[Path, Procedure]] = {}
    items = list(loaded)
    for path, procedure in items:
        if procedure.code in first:
            faults.append(Fault(str(path), 1, "code", f"mã {procedure.code} đã có ở {first[procedure.code][0]}"))
        else:
            first[procedure.code] = (path, procedure)
        if procedure.field not in fields:
            faults.append(Fault(str(path), 1, "field", f"lĩnh vực '{procedure.field}' không có trong {FIELDS_FILE}"))
    claims: dict[str, list[tuple[Path, Procedure]]] = defaultdict(list)
    for path, procedure in items:
        references = [
            *(("siblings", sibling.code) for sibling in procedure.siblings),
            *(("components", code) for code in procedure.components),
            *([("superseded_by", procedure.superseded_by)] if procedure.superseded_by else []),
        ]
        faults += [
            Fault(str(path), 1, field, f"không có thủ tục mã {code}") for field, code in references if code not in first
        ]
        for name in {" ".join(fold(name).split()) for name in procedure.everyday_names}:
            claims[name].append((path, procedure))
    for name, claimants in claims.items():
        for path, procedure in claimants[1:]:
            other_path, other = claimants[0]
            siblings = {s.code for s in procedure.siblings} | {s.code for s in other.siblings}
            related = {procedure.superseded_by, other.superseded_by} - {None}
            if not ({procedure.code, other.code} & (siblings | related)) and other.code != procedure.code:
                faults.append(
                    Fault(str(path), 1, "everyday_names", f"'{name}' đã là tên của {other.code} ({other_path.name}); "
                          "hai thủ tục cùng tên thường gọi phải ghi nhau trong siblings"),
                )  # fmt: skip
    return faults


def load_catalog(source: Path) -> Catalog:
    """Loads a directory of procedure files, or official records (.json, .jsonl, .jsonl.gz).

    Raises:
        CatalogError: with every fault found.
    """
    if source.is_dir():
        fields = load_fields(source / FIELDS_FILE)
        loaded, faults = load_procedures(source)
        faults += cross_faults(loaded, fields)
        if not loaded and not faults:
            faults = [Fault(str(source), 1, "", "không có tệp thủ tục nào")]
        if faults:
            raise CatalogError(faults)
        return Catalog({p.code: p for _, p in sorted(loaded, key=lambda item: item[1].code)}, fields)
    return _load_records(source)


def _load_records(source: Path) -> Catalog:
    shown = str(source)
    try:
        raw = gzip.decompress(source.read_bytes()) if source.suffix == ".gz" else source.read_bytes()
        text = raw.decode("utf-8")
        records = json.loads(text) if ".jsonl" not in source.name else [json.loads(r) for r in text.splitlines() if r]
    except OSError as error:
        raise CatalogError([Fault(shown, 1, "", f"không đọc được tệp: {error.strerror}")]) from error
    except (ValueError, EOFError) as error:
        raise CatalogError([Fault(shown, 1, "", f"không phải JSON hợp lệ: {error}")]) from error
    procedures: dict[str, Procedure] = {}
    for number, record in enumerate(records, 1):
        procedure = _from_record(record, shown, number)
        procedures[procedure.code] = procedure
    fields = {"khac": FieldInfo(name="Khác")}
    return Catalog(procedures, fields)


def _from_record(record: Mapping[str, Any], shown: str, number: int) -> Procedure:
    """Names and references as given; facts of a raw record are not told without a check."""
    try:
        name = " ".join(str(record["name"]).split())[:600]
        return Procedure(
            code=record["code"],
            name=name,
            short_name=name if len(name) <= 90 else name[:89] + "…",
            field="khac",
            legal_basis=tuple(str(basis)[:600] for basis in record.get("legal_basis") or () if str(basis).strip()),
            superseded_by=record.get("superseded_by") or None,
            provenance=Provenance(
                source="Cổng Dịch vụ công quốc gia",
                as_of=record.get("as_of") or "2025-12",
                decision=record.get("decision") or None,
                grade="C",
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        message = str(error).splitlines()[0]
        raise CatalogError([Fault(shown, number, "", f"bản ghi sai: {message}")]) from error
