"""What a check finds, and how all are run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

import httpx

from bot.settings import Settings
from bot.storage.database import Database


class State(StrEnum):
    """How a thing is: in order, worth knowing, or to be mended."""

    OK = "ok"
    NOTE = "lưu ý"
    BAD = "cần làm"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        subject: what was looked at, a word or two.
        state: how it is.
        told: what was seen.
        todo: what to do, "" where nothing is.
    """

    subject: str
    state: State
    told: str
    todo: str = ""


@dataclass(slots=True)
class Deployment:
    """What the checks look at.

    Attributes:
        settings: as the service would read them.
        database: maybe unreachable or without tables.
        http: for asking outside; short time limits.
        has_tables: the database was reached and is at this program's revision; set by its check.
        dates: the time that others told, by who told it (their ``Date`` header), beside ours of the same moment.
        clock: this machine's clock.
    """

    settings: Settings
    database: Database
    http: httpx.Client
    clock: Callable[[], datetime]
    has_tables: bool = False
    dates: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        """This machine's time."""
        return self.clock()

    def ask(self, method: str, url: str, who: str, **more: object) -> httpx.Response:
        """Calls an address and notes its clock.

        Raises:
            httpx.HTTPError: no answer.
        """
        answer = self.http.request(method, url, **more)  # type: ignore[arg-type]  # passed on as it is
        with suppress(KeyError, ValueError):
            self.dates[who] = (parsedate_to_datetime(answer.headers["date"]), self.now)
        return answer


Check = Callable[[Deployment], Iterable[Finding]]


def examine(deployment: Deployment, checks: Iterable[tuple[str, Check]]) -> Iterator[Finding]:
    """Runs checks one after the other; one that breaks is itself a finding, and the others still run."""
    for subject, check in checks:
        try:
            yield from check(deployment)
        except Exception as error:  # noqa: BLE001  whatever this machine has in store
            # Only the kind of the error: its text may hold an address with a token in it.
            yield Finding(
                subject, State.BAD, f"không kiểm tra được ({type(error).__name__})", "xem nhật ký của dịch vụ"
            )
