"""A draft procedure file from an official record: what can be read for sure, the rest as notes for the verifier."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import yaml

from bot.catalog.imports import reading
from bot.catalog.imports.records import Paper, Record
from bot.catalog.schema import FieldInfo, Procedure, TimeUnit
from nlu.normalize import fold

_MODES = {"truc tiep": "counter", "truc tuyen": "online", "dich vu buu chinh": "post", "buu chinh": "post"}
_SET_BY_PROVINCE = re.compile(r"(hội đồng nhân dân|hđnd).{0,40}(tỉnh|thành phố)", re.IGNORECASE)
_LINES = re.compile(r"\n+|(?<=[.;])\s+(?=[-+•]\s|Bước \d)")
_ONLY = {"bao gom", "thanh phan ho so", "gom"}
MAX = 590


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX else text[: MAX - 1].rstrip() + "…"


def _lines(text: str, most: int) -> list[str]:
    found = [_cut(line.strip(" -+•*")) for line in _LINES.split(text)]
    return [line for line in found if len(line) > 2][:most]


def field_of(record: Record, fields: Mapping[str, FieldInfo]) -> str:
    """The field's folder by its name; "khac" where no field of ours is called so."""
    wanted = fold(record.field).split()
    return next((slug for slug, info in fields.items() if fold(info.name).split() == wanted), "khac")


def _document(paper: Paper) -> dict[str, Any]:
    kind = "original" if paper.originals else "copy" if paper.copies else "any"
    found: dict[str, Any] = {"name": _cut(paper.name.strip(" -+*")), "kind": "submit", "copy_kind": kind}
    if max(paper.originals, paper.copies) > 1:
        found["count"] = min(max(paper.originals, paper.copies), 20)
    group = _cut(paper.group.strip(" :*-+"))
    if group and fold(group) not in _ONLY:
        found["case"] = group
    if numbers := reading.forms(paper.name):
        found["form"] = ", ".join(sorted(numbers))
    return found


def _fees(record: Record, notes: list[str]) -> list[dict[str, Any]]:
    fees: dict[tuple[int | None, str | None], dict[str, Any]] = {}
    for mode, text in reading.fee_texts(record):
        amount = reading.money(text)
        channel = _MODES.get(fold(mode))
        if _SET_BY_PROVINCE.search(text) and not amount:
            fees[(None, channel)] = {"set_by_province": True, **({"channel": channel} if channel else {})}
        elif amount is None:
            notes.append(_cut(f"Phí chưa đọc được ({mode}): “{text}”"))
        else:
            fee: dict[str, Any] = {"amount": amount, **({"channel": channel} if channel else {})}
            if len(text) > 40:
                fee["note"] = _cut(text)
            fees.setdefault((amount, channel), fee)
    return list(fees.values())


def _times(record: Record, notes: list[str]) -> list[dict[str, Any]]:
    times: dict[tuple[float, TimeUnit, str | None], dict[str, Any]] = {}
    for method in record.methods:
        limit, channel = reading.time_limit(method.time), _MODES.get(fold(method.mode))
        if limit is None:
            if method.time:
                notes.append(_cut(f"Thời hạn chưa đọc được ({method.mode}): “{method.time}”. {method.note}"))
        else:
            amount, unit = limit
            told: dict[str, Any] = {"amount": amount if amount % 1 else int(amount), "unit": unit.value}
            times.setdefault((amount, unit, channel), {**told, **({"channel": channel} if channel else {})})
    return list(times.values())


def draft(record: Record, fields: Mapping[str, FieldInfo], today: date) -> Procedure:
    """A checked draft; every text is the record's own and waits for somebody's plain words.

    Raises:
        pydantic.ValidationError: the record cannot be made to fit the schema.
    """
    notes = [f"Bản nháp nhập từ {record.where}; chưa ai đối chiếu, chưa được dùng để trả lời."]
    name = re.sub(r"^\s*thủ tục\s+", "", record.name, flags=re.IGNORECASE)
    name = name[:1].upper() + name[1:]
    fees, times = _fees(record, notes), _times(record, notes)
    data: dict[str, Any] = {
        "code": record.code,
        "name": name[:MAX],
        "short_name": name if len(name) <= 90 else name[:89] + "…",
        "field": field_of(record, fields),
        "audience": [_cut(line) for line in re.split(r"[,;\n](?![^()]*\))", record.audience) if line.strip()][:12],
        "channels": list(dict.fromkeys(m for method in record.methods if (m := _MODES.get(fold(method.mode))))),
        "documents": [_document(paper) for paper in record.papers],
        "fees": fees,
        "processing_times": times,
        "steps": _lines(record.steps, 40),
        "eligibility": _lines(record.requirements, 30),
        "results": _lines(record.result, 10),
        "legal_basis": [_cut(law) for law in record.legal_basis],
        "verifier_notes": notes,
        "provenance": {
            "source": "Cổng Dịch vụ công quốc gia",
            "as_of": record.as_of or f"{today:%Y-%m}",
            "grade": "C",
            **({"decision": record.decision} if record.decision else {}),
        },
    }
    if record.agency:
        data["where"] = {"filed_at": _cut(record.agency)}
    return Procedure.model_validate({key: value for key, value in data.items() if value not in ([], "", None)})


def as_yaml(procedure: Procedure, sources: Iterable[str]) -> str:
    """The file's text, with where each record came from in its head."""
    data = procedure.model_dump(mode="json", exclude_defaults=True)
    head = "".join(f"# Nguồn: {source}\n" for source in sources)
    return head + yaml.safe_dump(data, allow_unicode=True, sort_keys=False, width=110)
