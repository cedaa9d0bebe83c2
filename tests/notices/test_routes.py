"""To whom, on which way first, and what comes after a definite rejection."""

from __future__ import annotations

from datetime import timedelta

import pytest
from notice_scene import CODE, PHONE, Office
from sqlmodel import select

from bot.conversation.model import Incoming
from bot.dossiers.access import Citizen
from bot.notices import consent, routes
from bot.settings import Settings
from bot.storage import queue
from bot.storage.database import Database
from bot.storage.tables import Consent, Conversation, Outbox

TEMPLATES = '{"result_ready": "T1"}'


@pytest.fixture
def anywhere(database: Database, settings: Settings) -> Office:
    return Office(database, settings)


def ask(office: Office, channel: str, recipient: str) -> None:
    """The owner asks to be told on a channel."""
    with office.database.write() as session:
        consent.subscribe(session, channel, recipient, CODE, office.now, evidence="thử")
    office.later(seconds=1)


def ways(office: Office) -> list[tuple[str, str, list[list[str]]]]:
    return [(row.channel, row.recipient, row.body.get("route", [])) for row in office.rows()]


def reject(office: Office, row: Outbox) -> None:
    """The row surely did not go out and never will on this way."""
    with office.database.write() as session:
        found = session.get_one(Outbox, row.id)
        found.state = "failed"
        routes.fall_back(session, found, office.settings, office.now)


def test_whoever_asked_for_the_chat_is_told_there_and_sms_is_what_it_falls_back_to(anywhere: Office) -> None:
    anywhere.file()
    ask(anywhere, "telegram", "77")
    anywhere.enter(9)
    assert ways(anywhere) == [("telegram", "77", [["sms", PHONE]])]
    (row,) = anywhere.rows()
    reject(anywhere, row)
    assert [(one.channel, one.state) for one in anywhere.rows()] == [("telegram", "failed"), ("sms", "waiting")]
    anywhere.later(minutes=5)
    anywhere.run()
    assert anywhere.states() == ["failed", "sent"]


@pytest.mark.parametrize("state", ["sent", "uncertain", "delivered"])
def test_no_other_way_after_accepted_or_uncertain(office: Office, state: str) -> None:
    office.file()
    ask(office, "telegram", "77")
    office.enter(9)
    with office.database.write() as session:
        session.get_one(Outbox, 1).state = state
    office.later(days=1)
    office.run()
    assert [row.channel for row in office.rows()] == ["telegram"]


def test_the_newest_wish_counts(anywhere: Office) -> None:
    anywhere.file()
    ask(anywhere, "telegram", "77")
    ask(anywhere, "sms", PHONE)
    anywhere.enter(9)
    assert ways(anywhere) == [("telegram", "77", []), ("sms", PHONE, [])]


def test_zalo_chat_then_its_templates_then_sms(anywhere: Office) -> None:
    anywhere.settings = anywhere.settings.model_copy(update={"zalo_templates": TEMPLATES})
    anywhere.file()
    ask(anywhere, "zalo_oa", "z1")
    anywhere.enter(9)
    assert ways(anywhere) == [("zalo_oa", "z1", [["zbs_uid", "z1"], ["zbs_phone", PHONE], ["sms", PHONE]])]
    for _ in range(3):
        reject(anywhere, anywhere.rows()[-1])
    assert [row.channel for row in anywhere.rows()] == ["zalo_oa", "zbs_uid", "zbs_phone", "sms"]
    assert anywhere.rows()[-1].body["text"].startswith("TTPVHCC")
    assert "xin báo" in anywhere.rows()[0].body["text"]


def test_two_people_who_asked_are_both_told(anywhere: Office) -> None:
    anywhere.file(phone=None)
    for channel, sender in (("telegram", "77"), ("zalo_bot", "b2")):
        ask(anywhere, channel, sender)
    anywhere.enter(9)
    assert {(channel, recipient) for channel, recipient, _ in ways(anywhere)} == {
        ("telegram", "77"),
        ("zalo_bot", "b2"),
    }


def test_a_chat_that_blocked_us_or_said_stop_is_not_a_way(anywhere: Office) -> None:
    anywhere.file(consent_sms=False)
    ask(anywhere, "telegram", "77")
    ask(anywhere, "zalo_bot", "b2")
    with anywhere.database.write() as session:
        session.add(
            Conversation(
                channel="telegram", sender="77", created_at=anywhere.now, last_at=anywhere.now,
                unreachable_at=anywhere.now,
            )
        )  # fmt: skip
        consent.refuse(session, "zalo_bot", "b2", anywhere.now, evidence="thử")
    assert anywhere.enter(9) is None


def test_stop_beats_every_consent_that_comes_later_until_start(anywhere: Office) -> None:
    anywhere.file()
    with anywhere.database.write() as session:
        consent.refuse(session, "sms", PHONE, anywhere.now, evidence="HUY")
    anywhere.file("H30.99.01-261116-0002")
    assert anywhere.enter(9, "H30.99.01-261116-0002") is None
    anywhere.later(minutes=1)
    with anywhere.database.write() as session:
        consent.bring_back(session, "sms", PHONE, anywhere.now, evidence="START")
    assert anywhere.enter(9) is not None


def test_start_gives_no_consent_that_was_not_there(office: Office) -> None:
    office.file(consent_sms=False)
    with office.database.write() as session:
        consent.bring_back(session, "sms", PHONE, office.now, evidence="START")
    assert office.enter(9) is None


def test_a_statutory_basis_stands_for_consent_but_not_against_a_refusal(office: Office) -> None:
    office.settings = office.settings.model_copy(update={"notice_basis": "Quy chế một cửa, Điều 5"})
    office.file(consent_sms=False)
    office.file("H30.99.01-261116-0002", consent_sms=False, phone="+84951111222")
    with office.database.write() as session:
        consent.refuse(session, "sms", "+84951111222", office.now, evidence="HUY")
    assert office.enter(9) is not None
    assert office.enter(9, "H30.99.01-261116-0002") is None


def test_consent_is_kept_with_wording_time_and_evidence(office: Office) -> None:
    office.file(consent_sms=False)
    ask(office, "sms", PHONE)
    with office.database.read() as session:
        (kept,) = session.exec(select(Consent)).all()
    assert (kept.channel, kept.recipient, kept.given, kept.wording, kept.evidence) == (
        "sms", PHONE, True, consent.WORDING, "thử",
    )  # fmt: skip
    assert office.enter(9) is not None


def test_a_demo_dossier_says_so_in_a_chat(office: Office) -> None:
    office.file(demo=True, phone=None)
    ask(office, "telegram", "77")
    office.enter(9)
    assert office.rows()[0].body["text"].startswith("(HỒ SƠ THỬ NGHIỆM)")


def test_the_same_occurrence_never_has_two_rows_for_one_recipient(office: Office) -> None:
    office.file()
    ask(office, "telegram", "77")
    office.enter(9, change_id="c1")
    office.change(status=4)
    office.enter(9, change_id="c1")
    (row,) = office.rows()
    reject(office, row)
    with office.database.write() as session:
        assert routes.fall_back(session, session.get_one(Outbox, row.id), office.settings, office.now) is None
    assert len(office.rows()) == 2


def test_only_so_many_notices_a_day_for_one_person(office: Office) -> None:
    office.settings = office.settings.model_copy(update={"notices_per_recipient_day": 2})
    for number in range(3):
        code = f"H30.99.01-261116-000{number}"
        office.file(code)
        office.enter(9, code)
    office.later(minutes=5)
    office.run()
    assert sorted(office.states()) == ["sent", "sent", "waiting"]
    office.later(hours=21, minutes=55)  # 07:00 the next day
    office.run()
    assert office.states() == ["sent"] * 3


def test_a_result_goes_before_a_survey(office: Office) -> None:
    with office.database.write() as session:
        for number, (event, priority) in enumerate((("survey", 6), ("result_ready", 0))):
            queue.put_outbox(
                session,
                Outbox(
                    kind="notice", channel="sms", recipient=f"+8495000000{number}", dedupe_key=str(number), event=event,
                    priority=priority, body={"text": "x"}, not_before=office.now - timedelta(hours=1 - number),
                    created_at=office.now,
                ),
            )  # fmt: skip
        first = queue.claim_outbox(session, owner="o", now=office.now, lease=timedelta(minutes=1), channels=["sms"])
    assert first is not None
    assert first.event == "result_ready"


def test_names_fit_together() -> None:
    # A chat's name in a route is the channel that the adapters use.
    assert Incoming("zalo_oa", "s", "m", "", None).channel == routes.ZALO  # type: ignore[arg-type]
    assert Citizen(routes.ZALO, "s").network is None
