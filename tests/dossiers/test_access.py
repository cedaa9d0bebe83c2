"""Whose dossier: what proves it, what it opens, how often it may be tried, and who seems to guess."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import col, select

from bot.conversation.model import DossierDetails, Proof
from bot.dossiers import access, registry
from bot.dossiers.access import Citizen
from bot.dossiers.lookup import look_up
from bot.dossiers.records import DossierRecord
from bot.notices.gsm7 import segments
from bot.settings import Settings
from bot.storage.database import Database
from bot.storage.retention import prune
from bot.storage.tables import Access, Lookup, OneTimeCode, Outbox

NOW = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)
CODE, BARE = "H30.99.01-261116-0001", "H30.99.01-261116-0002"
PHONE = "+84951234567"
BA, ONG = Citizen("telegram", "77"), Citizen("telegram", "88")


@pytest.fixture(autouse=True)
def _two_dossiers(database: Database, settings: Settings) -> None:
    with database.write() as session:
        for record in (
            DossierRecord(
                code=CODE, status=5, procedure="1.001193", phone=PHONE, note="Thiếu bản vẽ", lookup_code="KX-4711"
            ),
            DossierRecord(code=BARE, status=4),
        ):
            registry.upsert(session, record, source="import", settings=settings, now=NOW)


def prove(
    database: Database, settings: Settings, proof: Proof, citizen: Citizen = BA, code: str = CODE, now: datetime = NOW
) -> str:
    with database.write() as session:
        return access.prove(session, citizen, code, proof, settings, now)


def details(database: Database, citizen: Citizen = BA, now: datetime = NOW) -> DossierDetails | None:
    with database.read() as session:
        return access.details(session, citizen, CODE, now, "Đăng ký khai sinh")


def request_code(database: Database, settings: Settings, citizen: Citizen = BA, code: str = CODE) -> str | None:
    """Asks for a one-time code; what the SMS says, None where none goes out."""
    with database.write() as session:
        outbox_id = access.send_code(session, citizen, code, settings, NOW)
        return None if outbox_id is None else str(session.get_one(Outbox, outbox_id).body["text"])


def digits(text: str | None) -> str:
    found = re.search(r"ma xac nhan (\d{6})", text or "")
    assert found, text
    return found[1]


def test_nothing_is_open_before_a_proof(database: Database) -> None:
    assert details(database) is None


@pytest.mark.parametrize("proof", [Proof("phone", PHONE), Proof("code", "KX-4711"), Proof("code", "kx-4711 ")])
def test_a_fitting_proof_opens_the_details_for_this_citizen_for_a_day(
    database: Database, settings: Settings, proof: Proof
) -> None:
    assert prove(database, settings, proof) == "opened"
    told = details(database)
    assert told is not None
    assert (told.note, told.procedure, told.phone) == ("Thiếu bản vẽ", "Đăng ký khai sinh", "+8495****567")
    assert details(database, ONG) is None
    assert details(database, Citizen("zalo_oa", "77")) is None  # the same number elsewhere is another person
    assert details(database, now=NOW + timedelta(hours=settings.access_hours)) is None


@pytest.mark.parametrize(
    "proof", [Proof("phone", "+84951234568"), Proof("phone", ""), Proof("code", "kx4712"), Proof("code", "")]
)
def test_anything_else_is_refused(database: Database, settings: Settings, proof: Proof) -> None:
    assert prove(database, settings, proof) == "refused"
    assert details(database) is None


def test_a_dossier_without_phone_or_look_up_code_opens_to_nobody(database: Database, settings: Settings) -> None:
    for proof in (Proof("phone", ""), Proof("code", ""), Proof("code", "None")):
        assert prove(database, settings, proof, code=BARE) == "refused"


def test_a_one_time_code_opens_once_for_the_one_who_asked(database: Database, settings: Settings) -> None:
    text = request_code(database, settings)
    assert segments(text or "").count == 1
    assert CODE not in (text or "")
    typed = digits(text)
    with database.read() as session:
        assert typed not in str(session.exec(select(OneTimeCode)).one().model_dump())
    assert prove(database, settings, Proof("code", typed), ONG) == "refused"
    assert prove(database, settings, Proof("code", typed)) == "opened"
    assert prove(database, settings, Proof("code", typed)) == "refused"


def test_a_one_time_code_ends_after_minutes_and_after_five_tries(database: Database, settings: Settings) -> None:
    generous = settings.model_copy(update={"proofs_per_sender_hour": 50})
    typed = digits(request_code(database, settings))
    late = NOW + timedelta(minutes=settings.code_minutes)
    assert prove(database, generous, Proof("code", typed), now=late) == "refused"
    typed = digits(request_code(database, settings))
    for _ in range(access.TRIES):
        assert prove(database, generous, Proof("code", "000000x")) == "refused"
    assert prove(database, generous, Proof("code", typed)) == "refused"


def test_a_newer_code_ends_the_one_before(database: Database, settings: Settings) -> None:
    first, second = digits(request_code(database, settings)), digits(request_code(database, settings))
    assert prove(database, settings, Proof("code", first)) == ("opened" if first == second else "refused")
    assert prove(database, settings, Proof("code", second)) == "opened"


def test_codes_are_limited_alike_with_and_without_a_phone(database: Database, settings: Settings) -> None:
    for citizen, code in ((BA, CODE), (ONG, BARE)):
        sent = [request_code(database, settings, citizen, code) for _ in range(settings.codes_per_sender_day + 1)]
        assert sent[-1] is None
        with database.read() as session:
            assert not access.code_allowed(session, citizen, code, settings, NOW)
            asked = session.exec(select(Lookup).where(Lookup.kind == "otp", Lookup.sender == citizen.sender)).all()
        assert len(asked) == settings.codes_per_sender_day
    with database.read() as session:
        # Another citizen can't have the phone of this dossier rung any more today either.
        assert not access.code_allowed(session, Citizen("web", "x"), CODE, settings, NOW)
        assert len(session.exec(select(Outbox).where(Outbox.kind == "otp")).all()) == settings.codes_per_dossier_day


def test_a_demo_dossier_sends_its_code_to_the_simulator(database: Database, settings: Settings) -> None:
    demo = DossierRecord(code="H30.99.01-261116-0003", status=4, phone=PHONE, demo=True)
    with database.write() as session:
        registry.upsert(session, demo, source="demo", settings=settings, now=NOW, quiet=True)
    request_code(database, settings, code=demo.code)
    with database.read() as session:
        assert session.exec(select(Outbox)).one().demo


def test_failed_proofs_are_limited_by_sender_network_and_dossier(database: Database, settings: Settings) -> None:
    wrong = Proof("code", "đoán")
    for _ in range(settings.proofs_per_sender_hour):
        assert prove(database, settings, wrong) == "refused"
    assert prove(database, settings, Proof("code", "KX-4711")) == "limited"
    assert details(database) is None
    assert prove(database, settings, Proof("code", "KX-4711"), now=NOW + timedelta(hours=1)) == "opened"
    for number in range(settings.proofs_per_sender_hour * access.NETWORK_SHARE):
        visitor = Citizen("web", f"v{number}", "203.0.113.7")
        assert prove(database, settings, wrong, visitor, f"H30.99.01-261118-{number:04d}") == "refused"
    assert prove(database, settings, Proof("code", "KX-4711"), Citizen("web", "new", "203.0.113.7")) == "limited"
    for number in range(settings.proofs_per_dossier_day):
        prove(database, settings, wrong, Citizen("zalo_oa", f"z{number}"))
    # About this dossier enough was guessed today; whoever shares the number on file is not kept out.
    assert prove(database, settings, Proof("code", "KX-4711"), ONG) == "limited"
    assert prove(database, settings, Proof("phone", PHONE), ONG) == "opened"


def test_unknown_codes_are_limited_sooner_than_known_ones(database: Database, settings: Settings) -> None:
    def ask(number: int, citizen: Citizen) -> bool:
        with database.write() as session:
            code = f"H30.99.01-261117-{number:04d}"
            return look_up(session, (code,), citizen, settings=settings, now=NOW).limited

    limited = [ask(number, BA) for number in range(12)]
    assert limited.index(True) == settings.unknown_codes_per_sender_hour
    visitors = [ask(number, Citizen("web", f"v{number}", "203.0.113.7")) for number in range(60)]
    assert visitors.index(True) == settings.unknown_codes_per_sender_hour * access.NETWORK_SHARE


def test_who_guesses_is_shown_masked(database: Database, settings: Settings) -> None:
    guesser, honest = Citizen("telegram", "1234567890"), Citizen("telegram", "99")
    with database.write() as session:
        for number in range(6):
            code = f"H30.99.01-261117-{number:04d}"
            look_up(session, (code,), guesser, settings=settings, now=NOW)
            look_up(session, (code,), Citizen("web", f"v{number}", "203.0.113.7"), settings=settings, now=NOW)
        look_up(session, (CODE, "H30.99.01-261117-0001"), honest, settings=settings, now=NOW)
    with database.read() as session:
        found = access.guessing(session, NOW)
        assert {(one.who, one.unknown) for one in found} == {("telegram …7890", 6), ("web 203.0.113.7", 6)}
        assert access.guessing(session, NOW + timedelta(days=1, minutes=1)) == []


def test_proofs_and_codes_are_forgotten_when_they_end(database: Database, settings: Settings) -> None:
    request_code(database, settings)
    prove(database, settings, Proof("phone", PHONE))
    with database.write() as session:
        session.exec(select(Outbox)).one().state = "sent"
    with database.write() as session:
        prune(session, settings, NOW)
        assert len(session.exec(select(Access)).all()) == 1
    with database.write() as session:
        prune(session, settings, NOW + timedelta(hours=settings.access_hours, minutes=1))
    with database.read() as session:
        assert session.exec(select(Access)).all() == []
        assert session.exec(select(OneTimeCode)).all() == []
        assert session.exec(select(Outbox).order_by(col(Outbox.id))).one().body == {}
