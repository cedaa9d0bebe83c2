"""What citizens read: short sentences, short answers, no list cut in silence, a source in every answer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.application import open_desk
from bot.catalog.answers import BRIEF_CHARS, Desk, compose
from bot.catalog.schema import Aspect, Procedure
from bot.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
ASKED = [
    *((aspect,) for aspect in Aspect),
    (Aspect.DOCUMENTS, Aspect.FEE), (Aspect.DOCUMENTS, Aspect.PROCESSING_TIME), (Aspect.FEE, Aspect.PROCESSING_TIME),
    (Aspect.DOCUMENTS, Aspect.FEE, Aspect.PROCESSING_TIME, Aspect.WHERE),
]  # fmt: skip
LONGEST = 30  # words


@pytest.fixture(scope="module")
def desk() -> Desk:
    return open_desk(Settings())


def _too_long(procedure: Procedure, text: str) -> list[str]:
    official = {*(form.name for form in procedure.forms), *(d.name for d in procedure.documents if d.form)}
    sentences = [s for line in text.split("\n") for s in re.split(r"(?<=[.!?;:])\s+", line)]
    # The official title of a form is what stands on the paper; it is not ours to shorten.
    return [s for s in sentences if len(s.split()) > LONGEST and not any(name in s for name in official)]


def test_answers_are_short_and_say_what_they_leave_out(desk: Desk) -> None:
    for procedure in desk.catalog.procedures.values():
        for aspects in ASKED:
            text, sections = compose(procedure, aspects, desk)
            assert len(text) <= BRIEF_CHARS, (procedure.code, aspects)
            for section in sections:
                assert not section.cut or f"Còn {section.cut} mục nữa" in text, (procedure.code, aspects)
            assert "Nguồn: " in text


def test_sentences_are_short(desk: Desk) -> None:
    long = {
        procedure.code: found
        for procedure in desk.catalog.procedures.values()
        for aspect in Aspect
        if (found := _too_long(procedure, compose(procedure, (aspect,), desk)[0]))
    }
    assert long == {}


def test_no_superseded_fact_is_told_as_current(desk: Desk) -> None:
    old = [p for p in desk.catalog.procedures.values() if p.superseded_by]
    assert old
    for procedure in old:
        for aspects in ASKED:
            assert "nay được thay bằng" in compose(procedure, aspects, desk)[0]
