"""What an official record says differently from the procedure file that is there."""

from __future__ import annotations

from collections.abc import Iterator

from bot.catalog.imports import reading
from bot.catalog.imports.records import Record
from bot.catalog.schema import Procedure, TimeUnit
from nlu.normalize import fold

_UNITS = {
    TimeUnit.SAME_DAY: "trong ngày", TimeUnit.HOUR: "giờ", TimeUnit.WORKING_DAY: "ngày làm việc",
    TimeUnit.DAY: "ngày", TimeUnit.MONTH: "tháng",
}  # fmt: skip


def _listed(figures: set[str]) -> str:
    return ", ".join(sorted(figures))


def differences(record: Record, ours: Procedure) -> list[str]:
    """One line a difference, in words for the verifier; [] where nothing that can be compared differs."""
    found = []
    if fold(record.name).removeprefix("thu tuc ").split() != fold(ours.name).removeprefix("thu tuc ").split():
        found.append(f"tên: bản ghi “{record.name}”, tệp “{ours.name}”")
    if record.listed_only:
        return found
    if record.decision and ours.provenance.decision and record.decision not in ours.provenance.decision:
        found.append(f"quyết định công bố: bản ghi {record.decision}, tệp {ours.provenance.decision}")
    return [*found, *_money(record, ours), *_limits(record, ours), *_forms(record, ours), *_laws(record, ours)]


def _money(record: Record, ours: Procedure) -> Iterator[str]:
    texts = [text for _, text in reading.fee_texts(record)]
    amounts = {amount for text in texts if (amount := reading.money(text)) is not None}
    told = {fee.amount for fee in ours.fees if fee.amount is not None}
    if any(fee.set_by_province for fee in ours.fees):
        told.add(0)  # "Miễn phí" in the record's table, with the province's council named beside it
    if new := amounts - told:
        yield f"phí có trong bản ghi, không có trong tệp: {_listed({f'{amount} đồng' for amount in new})}"
    said = " ".join([*texts, *(method.note for method in record.methods)]).replace(".", "").replace(",", "")
    gone = {fee.amount for fee in ours.fees if fee.amount and not fee.source and str(fee.amount) not in said}
    if gone:
        yield f"phí có trong tệp, không thấy trong bản ghi: {_listed({f'{amount} đồng' for amount in gone})}"


def _limits(record: Record, ours: Procedure) -> Iterator[str]:
    limits = {limit for method in record.methods if (limit := reading.time_limit(method.time))}
    told = {(limit.amount, limit.unit) for limit in ours.processing_times}
    if new := limits - told:
        shown = {f"{amount:g} {_UNITS[unit]}" for amount, unit in new}
        yield f"thời hạn có trong bản ghi, không có trong tệp: {_listed(shown)}"


def _forms(record: Record, ours: Procedure) -> Iterator[str]:
    papers = " ".join(f"{paper.name} {paper.form}" for paper in record.papers)
    own = " ".join([*(f"{d.name} {d.form or ''}" for d in ours.documents), *ours.notes]).upper()
    known = reading.forms(own) | {form.number.upper().lstrip("0") for form in ours.forms}
    if new := {form for form in reading.forms(papers) - known if form not in own}:
        yield f"mẫu có trong bản ghi, không có trong tệp: {_listed(new)}"


def _laws(record: Record, ours: Procedure) -> Iterator[str]:
    basis, mine = reading.laws(" ".join(record.legal_basis)), reading.laws(" ".join(ours.legal_basis))
    if new := basis - mine:
        yield f"văn bản mới trong bản ghi: {_listed(new)}"
    if basis and (old := mine - basis):
        yield f"văn bản của tệp không còn trong bản ghi: {_listed(old)}"
