from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import pytest
from notice_scene import MORNING, PHONE, Office, with_twilio
from sqlmodel import select
from standins.twilio import TwilioStandIn

from bot.notices import sending
from bot.notices.gateways.pool import Gateways
from bot.settings import Settings
from bot.storage import queue
from bot.storage.database import Database
from bot.storage.tables import Outbox


def ready(office: Office, **fields: object) -> None:
    """A dossier has come into status 9 and its notice is due."""
    office.file(**fields)
    office.enter(9)
    office.later(minutes=4)


def look_twice(office: Office) -> None:
    """Two looks at what is uncertain, more than ten minutes apart."""
    for _ in range(2):
        office.later(minutes=11)
        office.run()


def test_exactly_one_sms_for_one_entry(office: Office, twilio: TwilioStandIn) -> None:
    office.file()
    office.enter(9)
    assert office.run() == 0  # within the delay
    office.later(minutes=3)
    assert office.run() == 1
    office.later(days=1)
    assert office.run() == 0
    (message,) = twilio.messages
    assert message["to"] == PHONE
    assert message["body"].startswith("TTPVHCC xa Chau Thanh: ho so H30.99.01-261116-0001 da co ket qua.")
    (row,) = office.rows()
    assert (row.state, row.gateway, row.provider_id, row.provider_status) == (
        "sent",
        "twilio",
        message["sid"],
        "queued",
    )
    assert message["callback"] == f"https://motcua.example/webhooks/sms/twilio/status?notice={row.id}"
    assert 0 < int(message["fields"]["ValidityPeriod"]) <= 36_000


def test_exactly_one_sms_on_either_database(database: Database, settings: Settings) -> None:
    office = Office(database, settings)
    with TwilioStandIn(clock=lambda: office.now) as twilio:
        office.settings = with_twilio(settings, twilio.url)
        ready(office)
        twilio.next_is("drop")
        assert office.run() == 1
        assert office.states() == ["uncertain"]
        assert office.run() == 0
        assert office.states() == ["sent"]
        office.enter(5)
        office.later(minutes=4)
        office.run()
        assert len(twilio.messages) == 2


def test_undone_within_the_delay_nobody_is_told(office: Office, twilio: TwilioStandIn) -> None:
    office.file()
    office.enter(9)
    office.later(minutes=2)
    office.enter(4)
    office.later(hours=1)
    assert office.run() == 0
    assert twilio.posts == 0
    office.enter(9)
    office.later(hours=1)
    assert office.run() == 1
    assert len(twilio.messages) == 1


def test_a_second_request_for_papers_goes_out_again(office: Office, twilio: TwilioStandIn) -> None:
    office.file()
    for _ in range(2):
        office.enter(5)
        office.later(minutes=4)
        office.run()
        office.enter(4)
        office.later(hours=1)
    assert [m["body"] for m in twilio.messages] == [twilio.messages[0]["body"]] * 2


def test_a_refusal_within_the_delay_counts(office: Office, twilio: TwilioStandIn) -> None:
    ready(office)
    office.prefer(wants=False)
    assert office.run() == 0
    assert office.states() == ["cancelled"]
    assert twilio.posts == 0


@pytest.mark.parametrize("fields", [{"consent_sms": False}, {"phone": None}])
def test_consent_withdrawn_within_the_delay_counts(
    office: Office, twilio: TwilioStandIn, fields: dict[str, object]
) -> None:
    ready(office)
    office.change(**fields)
    office.run()
    assert twilio.posts == 0


def test_a_corrected_number_takes_the_place_of_the_wrong_one(office: Office, twilio: TwilioStandIn) -> None:
    ready(office)
    office.change(phone="+84951111222")
    office.run()
    assert [m["to"] for m in twilio.messages] == ["+84951111222"]


def test_a_late_start_waits_for_the_morning(office: Office, twilio: TwilioStandIn) -> None:
    ready(office)
    office.now = MORNING + timedelta(hours=13)  # 22:00
    assert office.run() == 0
    assert office.states() == ["waiting"]
    office.now = MORNING + timedelta(hours=22, minutes=1)  # 07:01
    assert office.run() == 1
    assert office.rows()[0].attempts == 1


def test_too_late_is_never_sent(office: Office, twilio: TwilioStandIn) -> None:
    ready(office)
    office.later(days=8)
    assert office.run() == 0
    assert office.states() == ["expired"]
    assert twilio.posts == 0


def test_demo_never_goes_through_a_real_gateway(office: Office, twilio: TwilioStandIn) -> None:
    ready(office, demo=True)
    office.file("H30.99.01-261116-0002")
    office.enter(9, "H30.99.01-261116-0002")
    office.later(minutes=4)
    assert office.run() == 2
    assert ["0002 " in m["body"] for m in twilio.messages] == [True]
    demo, real = office.rows()
    assert (demo.gateway, demo.state) == ("simulator", "sent")
    assert (real.gateway, real.state) == ("twilio", "sent")


def test_without_twilio_the_simulator_is_the_phone(office: Office) -> None:
    ready(office)
    assert office.run() == 1
    (row,) = office.rows()
    assert (row.gateway, row.state, row.sent_at) == ("simulator", "sent", row.sent_at)
    assert row.sent_at is not None


@pytest.mark.parametrize("hours", [-7, 7])
def test_a_wrong_clock_at_the_time_of_a_send_in_doubt_sends_nothing_twice(office: Office, hours: int) -> None:
    right, office.now = office.now, office.now + timedelta(hours=hours)
    with TwilioStandIn(clock=lambda: right) as twilio:
        office.settings = with_twilio(office.settings, twilio.url, notice_from_hour=0, notice_to_hour=24)
        ready(office)
        twilio.next_is("drop")  # taken, and no answer
        office.run()
        assert office.states() == ["uncertain"]
        office.now = max(right, office.now)  # right again; what was tried in the future is asked for then
        look_twice(office)
        assert office.states() == ["sent"]
        assert len(twilio.messages) == 1


@pytest.mark.parametrize("behaviour", ["hang", "drop", "garbled"])
@pytest.mark.usefixtures("short_timeout")
def test_an_answer_that_never_came_is_uncertain_and_never_repeated(
    office: Office, twilio: TwilioStandIn, behaviour: str
) -> None:
    ready(office)
    twilio.listing = 503
    twilio.next_is(behaviour)
    assert office.run() == 1
    assert office.states() == ["uncertain"]
    for _ in range(30):
        office.later(hours=1)
        assert office.run() == 0
    assert office.states() == ["uncertain"]  # for a person
    assert twilio.posts == 1


@pytest.mark.parametrize("behaviour", ["hang", "drop", "garbled"])
@pytest.mark.usefixtures("short_timeout")
def test_asking_finds_what_got_through(office: Office, twilio: TwilioStandIn, behaviour: str) -> None:
    ready(office)
    twilio.next_is(behaviour)
    office.run()
    office.later(seconds=1)
    office.run()
    (row,) = office.rows()
    assert (row.state, row.provider_id) == ("sent", twilio.messages[0]["sid"])
    assert twilio.posts == 1


def test_what_surely_was_not_taken_is_sent_after_all(office: Office, twilio: TwilioStandIn) -> None:
    ready(office)
    twilio.next_is("lose")
    office.run()
    office.later(minutes=9)
    office.run()
    assert office.states() == ["uncertain"]  # it may still turn up
    office.later(minutes=9)
    office.run()
    assert office.states() == ["uncertain"]  # a second look, but too soon after the first
    office.later(minutes=2)
    office.run()
    assert office.states() == ["sent"]
    assert len(twilio.messages) == 1


def test_a_message_of_an_earlier_occurrence_is_not_taken_for_this_one(office: Office, twilio: TwilioStandIn) -> None:
    office.file()
    office.enter(5)
    office.later(minutes=4)
    office.run()
    office.enter(4)
    office.enter(5)
    office.later(minutes=4)
    twilio.next_is("lose")
    office.run()
    look_twice(office)
    assert office.states() == ["sent", "sent"]
    assert len(twilio.messages) == 2


def test_uncertain_and_undone_is_not_sent_any_more(office: Office, twilio: TwilioStandIn) -> None:
    ready(office)
    twilio.next_is("lose")
    office.run()
    office.enter(4)
    look_twice(office)
    assert office.states() == ["cancelled"]
    assert twilio.messages == []


def test_uncertain_undone_and_ready_again_is_told_once(office: Office, twilio: TwilioStandIn) -> None:
    ready(office)
    twilio.next_is("lose")
    office.run()
    office.enter(4)
    office.enter(9)
    look_twice(office)
    assert office.states() == ["cancelled", "sent"]
    assert len(twilio.messages) == 1


@pytest.mark.parametrize("trouble", [20429, 14107])
def test_temporary_trouble_is_tried_again_later(office: Office, twilio: TwilioStandIn, trouble: str | int) -> None:
    ready(office)
    twilio.plan.append(trouble)
    assert office.run() == 1
    assert office.states() == ["waiting"]
    assert office.run() == 0  # not at once
    office.later(seconds=80)
    assert office.run() == 1
    assert office.states() == ["sent"]
    assert len(twilio.messages) == 1


@pytest.mark.parametrize("trouble", ["500", "503"])
def test_a_server_error_proves_nothing_so_it_is_asked_twice_before_the_repeat(
    office: Office, twilio: TwilioStandIn, trouble: str
) -> None:
    ready(office)
    twilio.next_is(trouble)
    office.run()
    assert office.states() == ["uncertain"]
    look_twice(office)
    assert office.states() == ["sent"]
    assert len(twilio.messages) == 1


def test_an_error_that_sent_all_the_same_is_noticed_before_the_repeat(office: Office, twilio: TwilioStandIn) -> None:
    ready(office)
    twilio.next_is("500 taken")
    office.run()
    office.later(seconds=70)
    office.run()
    assert office.states() == ["sent"]
    assert len(twilio.messages) == 1


def test_given_up_after_six_tries(office: Office, twilio: TwilioStandIn) -> None:
    ready(office)
    for _ in range(20):
        twilio.refuse(20429)
    tried = 0
    for _ in range(48):
        tried += office.run()
        office.later(minutes=31)
    assert tried == twilio.posts == 6
    assert office.states() == ["failed"]


def test_an_unreachable_gateway_is_temporary(office: Office) -> None:
    office.settings = with_twilio(office.settings, "http://127.0.0.1:9")  # discard: nobody listens
    ready(office)
    office.run()
    assert office.states() == ["waiting"]


def test_retries_keep_to_the_hours(office: Office, twilio: TwilioStandIn) -> None:
    office.now = MORNING + timedelta(hours=11, minutes=55, seconds=30)  # 20:55:30, due at 20:58:30
    office.file()
    office.enter(9)
    office.later(minutes=4)  # 20:59:30
    twilio.refuse(20429)
    office.run()
    assert office.rows()[0].not_before == MORNING + timedelta(hours=22)


@pytest.mark.parametrize("code", [21211, 21610, 21614, 21617])
def test_a_wrong_or_unwilling_number_is_final(office: Office, twilio: TwilioStandIn, code: int) -> None:
    ready(office)
    twilio.refuse(code)
    office.run()
    (row,) = office.rows()
    assert row.state == "failed"
    assert row.error is not None
    assert str(code) in row.error
    assert PHONE not in row.error
    office.later(days=1)
    office.run()
    assert twilio.posts == 1


def test_an_error_in_the_newer_shape_is_understood(office: Office, twilio: TwilioStandIn) -> None:
    ready(office)
    twilio.next_is("problem")
    office.run()
    assert office.states() == ["failed"]


@pytest.mark.parametrize("code", [20003, 21408, 21606, 21608, 21612])
def test_a_fault_of_the_account_loses_no_notice(
    office: Office, twilio: TwilioStandIn, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    ready(office)
    for _ in range(8):
        twilio.refuse(code)
        office.run()
        assert office.states() == ["waiting"]
        office.later(minutes=31)
    assert str(code) in caplog.text
    twilio.refuse(20429)  # mended, and a first try goes wrong
    office.run()
    assert office.states() == ["waiting"]
    office.later(seconds=80)
    office.run()
    assert office.states() == ["sent"]
    assert len(twilio.messages) == 1


def test_a_crash_after_the_claim_leaves_it_uncertain_until_asked(office: Office, twilio: TwilioStandIn) -> None:
    ready(office)
    # A crash between claim and send: the claim is committed, nothing else.
    with office.database.write() as session:
        claim = sending._claim(session, office.settings, "dead", office.now)
    assert claim is not None
    assert office.run() == 0
    assert office.states() == ["sending"]
    office.later(minutes=3)
    assert office.run() == 0
    assert office.states() == ["uncertain"]
    look_twice(office)
    assert office.states() == ["sent"]
    assert len(twilio.messages) == 1


def test_the_general_sweep_leads_to_the_same_end(office: Office) -> None:
    ready(office)
    with office.database.write() as session:
        sending._claim(session, office.settings, "dead", office.now)
    office.later(minutes=3)
    with office.database.write() as session:
        assert queue.sweep(session, office.now).uncertain == (1,)
    # The simulator's screen shows only what was stored: nothing was shown yet.
    office.run()
    assert office.states() == ["sent"]


def test_two_processes_never_send_the_same_notice(office: Office, twilio: TwilioStandIn) -> None:
    ready(office)
    twilio.next_is("hang")
    first = threading.Thread(target=office.run)
    first.start()
    assert twilio.taken.wait(5)
    assert office.run() == 0
    twilio.release.set()
    first.join()
    assert twilio.posts == 1


def test_other_sms_of_the_outbox_go_the_same_way_at_any_hour(office: Office, twilio: TwilioStandIn) -> None:
    office.now = MORNING + timedelta(hours=13)  # 22:00
    with office.database.write() as session:
        queue.put_outbox(
            session,
            Outbox(
                kind="otp",
                channel="sms",
                recipient=PHONE,
                dedupe_key="otp:1",
                body={"text": "Ma xac nhan 123456", "buttons": []},
                not_before=office.now,
                expires_at=office.now + timedelta(minutes=5),
                created_at=office.now,
            ),
        )
    assert office.run() == 1
    assert 290 <= int(twilio.messages[0]["fields"]["ValidityPeriod"]) <= 300


def test_limit(office: Office) -> None:
    for number in range(3):
        code = f"H30.99.01-261116-000{number}"
        office.file(code)
        office.enter(9, code)
    office.later(minutes=4)
    gateways = Gateways(office.settings)
    sent = asyncio.run(
        sending.send_due(office.database, office.settings, gateways, owner="o" * 100, now=office.now, limit=2)
    )
    assert sent == 2
    with office.database.read() as session:
        assert len(session.exec(select(Outbox).where(Outbox.state == "sent")).all()) == 2
