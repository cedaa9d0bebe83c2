"""The ten statuses and the moves of the desk."""

from __future__ import annotations

from bot.dossiers.status import RESULT_READY, RETURNED, STATUSES, staff_moves
from bot.texts import phrases


def test_the_ten_statuses_of_the_national_exchange() -> None:
    assert list(STATUSES) == list(range(1, 11))
    assert STATUSES[RESULT_READY].name == "đã xử lý xong"
    assert STATUSES[RETURNED].name == "đã trả kết quả"


def test_each_says_what_to_do_next() -> None:
    for told in phrases("status")["statuses"].values():
        assert "next" in told or {"next_counter", "next_post", "next_electronic"} <= told.keys()


def test_only_the_counter_says_come_and_collect() -> None:
    ready = phrases("status")["statuses"][RESULT_READY]
    assert "đến {office}" in ready["next_counter"]
    assert "đến" not in ready["next_electronic"]
    assert "bưu chính" in ready["next_post"]


def test_moves_lead_to_other_statuses_that_exist() -> None:
    for status in STATUSES:
        assert status not in staff_moves(status)
        assert set(staff_moves(status)) <= STATUSES.keys()


def test_a_result_is_returned_only_when_it_is_ready_and_the_slip_can_be_undone() -> None:
    assert [status for status in STATUSES if RETURNED in staff_moves(status)] == [RESULT_READY]
    assert 4 in staff_moves(RESULT_READY)
    assert RESULT_READY in staff_moves(RETURNED)
