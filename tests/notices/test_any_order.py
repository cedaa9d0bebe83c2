"""Whatever comes in whatever order — sends that end in any way, reports late, doubled and reversed, moves of the
dossier, crashes, decisions of staff, clock jumps — nobody is told twice and no state goes back."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from notice_scene import Office
from sqlmodel import col, select

from bot.notices import sending
from bot.notices.delivery import record_status
from bot.notices.gateways.base import Gateway, Parcel, PermanentError, Sent, TemporaryError, UncertainError
from bot.notices.gateways.pool import Gateways
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.tables import Outbox

FINAL = frozenset({"delivered", "failed", "expired", "cancelled"})
ENDS = ("taken", *["taken, no answer"] * 3, "lost, no answer", "temporary", "number", "account")


class Whimsical:
    """A gateway like Twilio: no idempotency, but it can be asked; how the next sends end is told before."""

    name = "simulator"
    settle = timedelta(minutes=10)
    looks = 2
    found_for = timedelta(days=7)

    def __init__(self) -> None:
        self.plan: list[str] = []
        self.taken: list[tuple[int, str]] = []  # (row, its id here)

    async def send(self, parcel: Parcel) -> Sent:
        end = self.plan.pop(0) if self.plan else "taken"
        if end.startswith("taken"):
            self.taken.append((parcel.notice_id, f"g{len(self.taken)}"))
        if end.endswith("no answer"):
            raise UncertainError(end)
        if end == "temporary":
            raise TemporaryError(end)
        if end in {"number", "account"}:
            raise PermanentError(end, kind=end)
        return Sent(self.taken[-1][1], "queued")

    async def find(self, parcel: Parcel) -> list[Sent]:
        return [Sent(own, "queued") for row, own in self.taken if row == parcel.notice_id]

    def found_until(self, tried: object) -> object:
        return tried + self.found_for  # type: ignore[operator]

    async def close(self) -> None:
        """Nothing to close."""


class OneGateway(Gateways):
    """Every channel goes through the same."""

    def __init__(self, gateway: Whimsical) -> None:
        super().__init__(Settings(sms_per_second=1000))
        self.gateway = gateway

    def of(self, channel: str, *, demo: bool) -> Gateway:  # noqa: ARG002 - the signature of its base
        return self.gateway  # type: ignore[return-value]


class Notices(RuleBasedStateMachine):
    """One dossier, one gateway."""

    template: Path

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        var = Path(self.folder.name)
        shutil.copyfile(self.template, var / "motcua.sqlite3")
        self.office = Office(Database(f"sqlite:///{var / 'motcua.sqlite3'}"), Settings(var_dir=var))
        self.gateway = Whimsical()
        self.told: dict[int, str] = {}
        self.office.file()
        self.office.enter(9)
        self.office.later(minutes=4)

    def teardown(self) -> None:
        if hasattr(self, "office"):
            self.office.database.close()
            self.folder.cleanup()

    @rule(status=st.sampled_from([4, 9, 9, 9, 10]))
    def moves(self, status: int) -> None:
        self.office.enter(status)

    @rule(end=st.sampled_from(ENDS))
    def sends(self, end: str) -> None:
        self.gateway.plan = [end]
        asyncio.run(
            sending.run_pass(
                self.office.database, self.office.settings, owner="w", now=self.office.now,
                gateways=OneGateway(self.gateway),
            )
        )  # fmt: skip

    @rule(taken=st.booleans())
    def crashes_while_sending(self, taken: bool) -> None:
        """The claim is committed; the request went out or not; the process is gone."""
        with self.office.database.write() as session:
            claim = sending._claim(session, self.office.settings, "dead", self.office.now)
        if claim is not None and taken:
            self.gateway.taken.append((claim.parcel.notice_id, f"g{len(self.gateway.taken)}"))

    @rule()
    def looks_again(self) -> None:
        """So late that a look counts."""
        self.office.later(minutes=11)
        self.sends("taken")

    @rule(minutes=st.sampled_from([4, 11, 60, -30]))
    def clock(self, minutes: int) -> None:
        self.office.later(minutes=minutes)

    @rule(number=st.integers(0, 9), status=st.sampled_from(["queued", "sent", "delivered", "undelivered", "nonsense"]))
    def reports(self, number: int, status: str) -> None:
        if number < len(self.gateway.taken):
            row, own = self.gateway.taken[number]
            with self.office.database.write() as session:
                record_status(session, "simulator", own, status, self.office.now, notice_id=row)

    @rule(verdict=st.sampled_from(["sent", "drop"]), now=st.sampled_from([False, False, False, True]))
    def staff_decide(self, verdict: str, *, now: bool) -> None:
        if not now:
            return
        with self.office.database.write() as session:
            for found in session.exec(select(Outbox.id).where(Outbox.state == "uncertain")).all():
                sending.resolve_by_staff(session, found or 0, verdict, self.office.settings, self.office.now)

    @invariant()
    def nobody_is_told_twice_and_nothing_goes_back(self) -> None:
        if not hasattr(self, "office"):
            return
        rows = [row for row, _own in self.gateway.taken]
        assert len(rows) == len(set(rows)), "one row was taken twice"
        with self.office.database.read() as session:
            found = session.exec(select(Outbox).order_by(col(Outbox.id))).all()
        assert len({row.dedupe_key for row in found}) == len(found)
        for row in found:
            before = self.told.get(row.id or 0)
            if before in FINAL:
                assert row.state == before or (before, row.state) == ("failed", "delivered"), (before, row.state)
            if before == "sent":
                assert row.state in {"sent", "delivered", "failed"}
            if row.state in {"waiting", "expired"}:
                assert row.id not in rows or before is None, "taken, and yet it waits"
            self.told[row.id or 0] = row.state


def test_any_order(sqlite_database: Database) -> None:
    assert sqlite_database.path
    Notices.template = sqlite_database.path
    run_state_machine_as_test(
        Notices,
        settings=settings(
            max_examples=20, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
