"""A small office to teach: three procedures, a few dozen labelled messages, a model trained in a blink."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from nlu.entries import Entry
from nlu.training_data import Example, Training

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
BIRTH, MARRIAGE, DEATH = "1.001193", "1.000894", "1.000656"


@pytest.fixture(scope="session")
def entries() -> list[Entry]:
    return [
        Entry(BIRTH, "Đăng ký khai sinh", "Khai sinh", ("giấy khai sinh",), ("làm khai sinh cho con cần gì",)),
        Entry(MARRIAGE, "Đăng ký kết hôn", "Kết hôn", ("hôn thú",), ("cưới vợ thì làm giấy gì",)),
        Entry(DEATH, "Đăng ký khai tử", "Khai tử", ("báo tử",), ("ông nội mất thì khai tử ở đâu",)),
    ]


@pytest.fixture(scope="session")
def training() -> Training:
    said = {
        "greet": ("xin chào", "chào cán bộ", "alo", "em chào anh", "chào ad", "hello"),
        "thanks": ("cảm ơn", "cám ơn nhiều", "cảm ơn cán bộ", "thank you", "cảm ơn ad", "tks"),
        "out_of_scope": ("trời hôm nay đẹp", "giá vàng bao nhiêu", "kể chuyện cười đi", "đội nào thắng", "ăn cơm chưa"),
    }
    examples = [Example(text, intent) for intent, texts in said.items() for text in texts]
    for code, what in ((BIRTH, "khai sinh"), (MARRIAGE, "kết hôn"), (DEATH, "khai tử")):
        for aspect, asks in (
            ("documents", ("cần giấy tờ gì", "nộp giấy gì")),
            ("fee", ("hết bao nhiêu tiền", "lệ phí")),
        ):
            examples += [Example(f"{what} {ask}", "ask_procedure", (aspect,), code) for ask in asks]
    return Training(tuple(examples), {"fee": ("le phi|tien",)})
