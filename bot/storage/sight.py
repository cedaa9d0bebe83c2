"""What staff of one of several offices may see: their own office's rows, whatever is asked for in their session.

A session that is ``limited`` adds the condition to every ORM statement about the tables below, ``Session.get`` too, so
that a page can't forget it. Statements of the Core (``session.connection()``) are not touched: whoever writes one has
looked at the row before, through the session.

- Conversations of the office, and those of no known office in which a citizen waits for a person: they must not fall
  between chairs. Turns, and what a person said, of these: the office's own and those of no known office.
- Dossiers by the agency part of their code, and with them status changes, surveys and notices.
- The audit log of the office's own staff.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, event, false, or_
from sqlalchemy.orm import ORMExecuteState, with_loader_criteria
from sqlmodel import Session, col

from bot.storage.tables import Audit, Conversation, DeskMessage, Dossier, Outbox, StatusChange, Survey, Turn

EVERY_OFFICE = "every_office"  # execution option of a statement that counts what all offices do
WAITED_FOR = ("waiting", "taken", "held")  # see bot.desk.queues
_KEY = "sight"


@dataclass(frozen=True, slots=True)
class Sight:
    """One of several offices: its slug, and the agency parts of its dossiers' codes."""

    office: str
    agencies: tuple[str, ...] = ()

    def has_code(self, column: Any) -> ColumnElement[bool]:
        """Whether a column has the code of a dossier of the office."""
        return or_(false(), *(column.startswith(f"{agency}-", autoescape=True) for agency in self.agencies))


def limit(session: Session, sight: Sight | None) -> None:
    """Limits a session to what one office may see; None: to nothing."""
    if sight is None:
        return
    session.info[_KEY] = sight
    options = _criteria(sight)

    def narrow(state: ORMExecuteState) -> None:
        if not state.is_column_load and not state.execution_options.get(EVERY_OFFICE):
            state.statement = state.statement.options(*options)

    event.listen(session, "do_orm_execute", narrow)


def sight_of(session: Session) -> Sight | None:
    """What a session is limited to."""
    found: Sight | None = session.info.get(_KEY)
    return found


def office_of(session: Session) -> str | None:
    """The office whose staff a session works for; None for those who see all."""
    sight = sight_of(session)
    return sight.office if sight else None


def only_own(session: Session, column: Any) -> Sequence[ColumnElement[bool]]:
    """The condition that a row is the office's own and nobody else's; none where the session sees all."""
    sight = sight_of(session)
    return (column == sight.office,) if sight else ()


def is_own(session: Session, office: str | None) -> bool:
    """Whether something of this office (None: not known which) is the session's own."""
    sight = sight_of(session)
    return sight is None or sight.office == office


def _criteria(sight: Sight) -> list[Any]:
    def own_or_unknown(column: Any) -> ColumnElement[bool]:
        return or_(column == sight.office, column.is_(None))

    office = col(Conversation.office)
    waits = and_(office.is_(None), col(Conversation.queue).in_(WAITED_FOR))
    seen: list[tuple[type, ColumnElement[bool]]] = [
        (Conversation, or_(office == sight.office, waits)),
        (Turn, own_or_unknown(col(Turn.office))),
        (DeskMessage, own_or_unknown(col(DeskMessage.office))),
        (Dossier, sight.has_code(col(Dossier.code))),
        (StatusChange, sight.has_code(col(StatusChange.dossier_code))),
        (Survey, sight.has_code(col(Survey.dossier_code))),
        (Outbox, or_(col(Outbox.kind) != "notice", sight.has_code(col(Outbox.dossier_code)))),
        (Audit, col(Audit.office) == sight.office),
    ]
    return [with_loader_criteria(table, condition, include_aliases=True) for table, condition in seen]
