"""``motcua parse`` and ``motcua converse``: JSON lines in, JSON lines out."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from bot.application import open_desk, open_engine, open_talk
from bot.clock import VIETNAM, utc_now
from bot.conversation.model import Memory
from bot.dossiers import importing
from bot.dossiers.demo import demo_records
from bot.dossiers.offline import OfflineDossiers, dossier_of
from bot.dossiers.records import DossierRecord
from bot.errors import BadInputError
from bot.settings import Engine, load_settings

MAX_LINE = 2_000_000


def configure(name: str, parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``parse`` or ``converse``."""
    parser.add_argument("--engine", choices=[engine.value for engine in Engine])
    parser.add_argument("--catalog", type=Path, metavar="THƯ_MỤC_HOẶC_TỆP")
    if name == "converse":
        parser.add_argument("--dossiers", type=Path, metavar="FILE.csv")
        parser.add_argument("--now", metavar="ISO", help="giờ của cuộc trò chuyện")
    parser.set_defaults(run=_parse if name == "parse" else _converse)


def _object(line: str, needed: Mapping[str, type]) -> tuple[dict[str, Any] | None, Any, str]:
    """One line → (object or None, id, error)."""
    identity: Any = None
    try:
        if any("\ud800" <= character <= "\udfff" for character in line):
            return None, None, "dòng không phải UTF-8"
        found = json.loads(line[:MAX_LINE])
    except json.JSONDecodeError as error:
        return None, None, f"không phải JSON: {error.msg} (cột {error.colno})"
    except (RecursionError, ValueError) as error:
        return None, None, "JSON lồng quá sâu" if isinstance(error, RecursionError) else "không phải JSON: số quá dài"
    if not isinstance(found, dict):
        return None, None, "cần một đối tượng JSON"
    identity = found.get("id")
    for key, kind in needed.items():
        if not isinstance(found.get(key), kind):
            return None, identity, f"thiếu '{key}' hoặc sai kiểu; cần chuỗi"
    return found, identity, ""


def _objects(needed: Mapping[str, type]) -> Iterator[tuple[dict[str, Any] | None, Any, str]]:
    """Objects from stdin, a line at a time."""
    for line in sys.stdin:
        if line.strip():
            yield _object(line, needed)


def _say(result: Mapping[str, Any]) -> None:
    text = json.dumps(result, ensure_ascii=False)
    sys.stdout.write(text.encode("utf-8", "replace").decode("utf-8") + "\n")
    sys.stdout.flush()


def _parse(args: argparse.Namespace) -> int:
    settings = load_settings()
    desk = open_desk(settings, args.catalog)
    engine = open_engine(settings, desk, Engine(args.engine) if args.engine else None)
    broken = False
    for found, identity, error in _objects({"text": str}):
        if found is None:
            broken = True
            _say({"id": identity, "error": error})
            continue
        understood = engine.parse(found["text"])
        _say(
            {
                "id": identity,
                "intent": understood.intent,
                "confidence": round(min(max(understood.confidence, 0.0), 1.0), 4),
                "aspects": list(understood.aspects),
                "procedure": understood.procedure,
                "procedures": list(understood.procedures),
                "candidates": [asdict(candidate) for candidate in understood.candidates[:5]],
                "dossier_codes": list(understood.dossier_codes),
                "engine": understood.engine,
            }
        )
    return 2 if broken else 0


def time_of(text: object, what: str) -> datetime:
    """An ISO time; without a zone it is Vietnam time.

    Raises:
        BadInputError: it is none.
    """
    try:
        parsed = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise BadInputError(f"{what}: {str(text)[:40]!r} không phải giờ ISO, ví dụ 2026-11-30T08:00") from error
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=VIETNAM)


def _records(args: argparse.Namespace, now: datetime) -> list[DossierRecord]:
    if args.dossiers is None:
        return demo_records(now)
    records, rejected = importing.check_rows(importing.read_rows(args.dossiers))
    if rejected:
        line, reason = rejected[0]
        raise BadInputError(f"{args.dossiers}:{line}: {reason}")
    return records


def _converse(args: argparse.Namespace) -> int:
    settings = load_settings()
    start = time_of(args.now, "--now") if args.now else utc_now()
    desk = open_desk(settings, args.catalog)
    engine = open_engine(settings, desk, Engine(args.engine) if args.engine else None)
    talk = open_talk(settings, desk, engine)
    dossiers = {record.code: dossier_of(record, start) for record in _records(args, start)}
    citizens: dict[str, OfflineDossiers] = {}
    memories: dict[str, Memory] = {}
    broken = False

    for found, identity, error in _objects({"conversation": str, "text": str}):
        if found is None:
            broken = True
            _say({"id": identity, "error": error})
            continue
        try:
            now = time_of(found["at"], "at") if found.get("at") else start if args.now else utc_now()
        except BadInputError as wrong:
            broken = True
            _say({"id": identity, "error": str(wrong)})
            continue
        citizen = citizens.setdefault(found["conversation"], OfflineDossiers(dossiers.get, desk))
        said = talk.turn(found["text"], memories.get(found["conversation"], Memory()), now, citizen)
        memories[found["conversation"]] = said.memory
        _say(
            {
                "conversation": found["conversation"],
                "text": found["text"],
                "intent": said.intent,
                "aspects": list(said.aspects),
                "procedures": list(said.procedures),
                "dossier_codes": list(said.dossier_codes),
                "outcome": said.outcome,
                "replies": [
                    {"text": reply.text, "buttons": [asdict(button) for button in reply.buttons]}
                    for reply in said.replies
                ],
            }
        )
    return 2 if broken else 0
