"""Conversations written as YAML, run against the real pipeline: catalogue, engine, memory, wording."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.conversation.model import Memory
from bot.conversation.talk import LookedUp, Talk
from bot.dossiers.demo import demo_records
from bot.dossiers.lookup import view
from bot.storage.tables import Dossier

HERE = Path(__file__).parent
NOW = datetime.fromisoformat("2026-11-25T08:30:00+07:00")


def conversations() -> list[Any]:
    """Every conversation of the files beside this one."""
    return [
        pytest.param(item, id=f"{path.stem}-{number}")
        for path in sorted(HERE.glob("*.yml"))
        for number, item in enumerate(yaml.safe_load(path.read_text("utf-8")), 1)
    ]


@pytest.mark.parametrize("conversation", conversations())
def test_conversation(conversation: dict[str, Any], talk: Talk) -> None:
    talk_through(conversation, talk)


def talk_through(conversation: dict[str, Any], talk: Talk) -> None:
    """Holds every turn of a conversation against what is written there."""
    views = {}
    for record in demo_records(NOW):
        known = {name: getattr(record, name) for name in record.__slots__ if name != "lookup_code"}
        views[record.code] = view(Dossier(created_at=NOW, updated_at=NOW, **known))
    memory = Memory()
    for turn in conversation["turns"]:
        said = talk.turn(turn["say"], memory, NOW, lambda codes: LookedUp({code: views.get(code) for code in codes}))
        memory = said.memory
        told = "\n".join(reply.text for reply in said.replies)
        what = f"{conversation['name']}: {turn['say']!r} → {said.intent} {said.outcome} {said.procedures}\n{told}"
        for key in ("intent", "outcome"):
            if key in turn:
                assert getattr(said, key) == turn[key], what
        for key in ("aspects", "procedures"):
            if key in turn:
                assert list(getattr(said, key)) == turn[key], what
        for part in turn.get("told", []):
            assert part in told, what
        for part in turn.get("not_told", []):
            assert part not in told, what
