"""Conversations written as YAML, run against the real pipeline: catalogue, engine, memory, wording."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.channels.rendering import LIMITS, render_all
from bot.conversation.model import Memory
from bot.conversation.talk import Talk
from bot.dossiers.demo import demo_records
from bot.dossiers.offline import OfflineDossiers, dossier_of

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
    dossiers = {record.code: dossier_of(record, NOW) for record in demo_records(NOW)}
    citizen = OfflineDossiers(dossiers.get, talk.desk(NOW))
    memory = Memory()
    for turn in conversation["turns"]:
        channel = turn.get("channel", "terminal")
        citizen.vouched = channel == "telegram"  # as the service knows it
        if "say" in turn:
            said = talk.turn(turn["say"], memory, NOW, citizen, channel, turn.get("account"))
        else:
            said = talk.other(turn["kind"], memory, NOW, citizen, channel, turn.get("phone"))
        memory, told = said.memory, "\n".join(reply.text for reply in said.replies)
        if channel in LIMITS:
            # As the service does: what the channel shows is read, its numbers are remembered.
            rendered = render_all(said.replies, channel)
            memory = replace(memory, menu=rendered.menu or memory.menu)
            told = "\n".join(message.text for message in rendered.messages)
        what = f"{conversation['name']}: {turn} → {said.intent} {said.outcome} {said.procedures}\n{told}"
        for key in ("intent", "outcome"):
            if key in turn:
                assert getattr(said, key) == turn[key], what
        for key in ("aspects", "procedures", "effects"):
            if key in turn:
                assert list(getattr(said, key)) == turn[key], what
        for part in turn.get("told", []):
            assert part in told, what
        for part in turn.get("not_told", []):
            assert part not in told, what
