"""What the pages know of the staff's changes: read in one transaction, described in words, with why to look again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlmodel import Session, col, select

from bot.catalog.answers import Desk, month
from bot.catalog.schema import Procedure
from bot.clock import local
from bot.console.procedures import forms
from bot.console.procedures.editor import Editor, compared
from bot.edits import store
from bot.edits.apply import Applied, Edit, apply
from bot.edits.parts import NEW, VERIFIED, part_of
from bot.storage.switches import setting
from bot.storage.tables import FactEdit
from bot.texts import phrases

_T = phrases("procedures")


@dataclass(frozen=True)
class Known:
    """All that the pages show, read in one transaction: what is told today and all that was changed."""

    base: Desk
    told: Applied
    edits: Sequence[Edit]
    rows: Mapping[str, Sequence[FactEdit]]  # subject → its edits, newest first
    four_eyes: bool

    def of(self, subject: str) -> Sequence[FactEdit]:
        """The edits of a procedure, office or province, newest first."""
        return self.rows.get(subject, ())


def known(session: Session, base: Desk, office: str) -> Known:
    """Reads everything."""
    rows: dict[str, list[FactEdit]] = {}
    for row in session.exec(select(FactEdit).order_by(col(FactEdit.id).desc())):
        rows.setdefault(row.subject, []).append(row)
    edits = store.active(session)
    return Known(base, apply(base, edits, office), edits, rows, bool(setting(session, "four_eyes")))


def state_of(row: FactEdit, told: Applied, today: date) -> str:
    """What has become of an edit: a key of the texts ``states``."""
    if row.state != "active":
        return row.state
    if row.id in told.left_out:
        return "left_out"
    if row.starts and row.starts > today:
        return "coming"
    if row.valid_to and row.valid_to < today:
        return "past"
    counts = told.current.get((row.subject, row.part))
    return "active" if counts is not None and counts.id == row.id else "replaced"


def describe(row: FactEdit, found: Known, editor: Editor) -> dict[str, Any]:
    """An edit as the pages show it."""
    part, base = part_of(row.part), found.base
    state = state_of(row, found.told, base.today)
    if part.key in {NEW, VERIFIED}:
        difference = [("in", line) for line in _marked(row)]
    else:
        specs = editor.specs(part, base)
        after = row.after.get("value")
        lines = forms.lines_of(specs, after) if after is not None else [_T["base"]]
        difference = compared(forms.lines_of(specs, row.before.get("value", {})), lines)
    return {
        "id": row.id, "part": part.key, "part_name": _T["parts"][part.key], "state": state,
        "state_name": _T["states"][state], "difference": difference, "source": row.source, "by": row.by,
        "at": f"{local(row.at):%H:%M %d/%m/%Y}", "decided_by": row.decided_by, "reason": row.reason,
        "decided_at": f"{local(row.decided_at):%H:%M %d/%m/%Y}" if row.decided_at else "",
        "valid_from": f"{row.valid_from:%d/%m/%Y}" if row.valid_from else "",
        "valid_to": f"{row.valid_to:%d/%m/%Y}" if row.valid_to else "",
        "starts": f"{row.starts:%d/%m/%Y}" if row.starts else "",
        "editable": part.key not in {NEW, VERIFIED}, "four_eyes": part.four_eyes and found.four_eyes,
        "stale": row.state == "active" and state == "active"
        and store.is_stale(row, store.files_of(base, found.edits, row.subject, editor.office)),
    }  # fmt: skip


def _marked(row: FactEdit) -> list[str]:
    value = row.after.get("value", {})
    if row.part == NEW:
        added = value.get(NEW, {})
        return [str(added.get("name", ""))]
    mark = value.get(VERIFIED)
    return [f"{mark['by']}, {date.fromisoformat(mark['on']):%d/%m/%Y}"] if mark else [_T["taken_back"]]


def look_reasons(
    found: Known, subject: str, office: str, procedure: Procedure | None = None, *, old: bool = True
) -> list[str]:
    """Why staff should have a look at a procedure, office or province; a line each."""
    told: list[str] = []
    words = _T["look"]
    rows = found.of(subject)
    files = store.files_of(found.base, found.edits, subject, office) if rows else found.base
    for row in rows:
        name = _T["parts"].get(row.part, row.part)
        state = state_of(row, found.told, found.base.today)
        if state == "left_out":
            told.append(words["left_out"].format(part=name, why=found.told.left_out[row.id or 0]))
        elif state in {"active", "coming"} and store.is_stale(row, files):
            told.append(words["stale"].format(part=name))
    if procedure is not None:
        told += _aged(found, procedure, old=old)
    return told


def _aged(found: Known, procedure: Procedure, *, old: bool) -> list[str]:
    words, today = _T["look"], found.base.today
    told = [words["lapsed"]] if procedure.code in found.told.lapsed else []
    if procedure.valid_to and procedure.valid_to < today:
        told.append(words["expired"].format(what=procedure.short_name))
    told += [
        words["expired"].format(what=fee.what or _T["parts"]["fees"])
        for fee in procedure.fees
        if fee.valid_to and fee.valid_to < today
    ]
    if old and procedure.provenance.as_of < f"{today.year - 1}-{today.month:02d}":
        told.append(words["old"].format(month=month(procedure.provenance.as_of)))
    return told
