"""A test message to oneself: on the notices' own road, no consent needed, a few a day, never beyond the office."""

from __future__ import annotations

import pytest
from notice_scene import MORNING, Office
from standins.twilio import TwilioStandIn

from bot.errors import BadInputError
from bot.notices import trial
from bot.notices.gsm7 import segments

OWN = "0951234567"


def send(office: Office, phone: str = OWN, template: str = "", staff: str = "an") -> int:
    with office.database.write() as session:
        row = trial.send(
            session, phone, template, "UBND xã Châu Thành", staff=staff, settings=office.settings, now=office.now
        )
    assert row.id is not None
    return row.id


def test_it_takes_the_real_road_at_any_hour(office: Office, twilio: TwilioStandIn) -> None:
    office.now = MORNING.replace(hour=18)  # 01:00 in Vietnam: notices wait, this doesn't
    send(office)
    assert office.run() == 1
    (row,) = office.rows()
    assert (row.state, row.gateway, row.recipient) == ("sent", "twilio", "+84951234567")
    assert (
        row.body["text"] == "UBND xa Chau Thanh: tin thu cua he thong bao tin, gui luc 01:00 25/11. Khong can tra loi."
    )
    assert segments(row.body["text"]).count == 1


def test_in_a_demonstration_it_goes_to_the_simulator(office: Office, twilio: TwilioStandIn) -> None:
    office.settings = office.settings.model_copy(update={"demo": True})
    send(office, template="overdue")
    office.run()
    (row,) = office.rows()
    assert (row.gateway, row.state, twilio.messages) == ("simulator", "sent", [])
    assert row.body["text"].startswith("TIN THU. UBND xa Chau Thanh: xin loi ong/ba, ho so H30.00.00-000000-0000")


def test_a_few_a_day_for_each_person(office: Office) -> None:
    for _ in range(trial.PER_DAY):
        send(office)
        office.later(seconds=1)
    with pytest.raises(BadInputError, match="nhiều nhất 5 tin một ngày"):
        send(office)
    send(office, staff="binh")
    with office.database.read() as session:
        assert [trial.left_today(session, who, office.now) for who in ("an", "binh", "chi")] == [0, 4, 5]
        assert len(trial.sent_by(session, "an", office.now)) == 5
    office.later(days=1)
    send(office)


@pytest.mark.parametrize("phone", ["", "12345", "0281234567", "+1 202 555 0100", "0951234567; 0951234568", "x"])
def test_only_to_a_mobile_number_of_vietnam(office: Office, phone: str) -> None:
    with pytest.raises(BadInputError, match="số di động Việt Nam"):
        send(office, phone)
    assert office.rows() == []


def test_an_unknown_template_is_refused(office: Office) -> None:
    with pytest.raises(BadInputError, match="Không có mẫu tin «x»"):
        send(office, template="x")
