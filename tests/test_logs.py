"""Nothing personal and no secret in logs."""

from __future__ import annotations

import pytest

from bot.logs import mask

TOKEN = "123456789:AAinvented-invented-invented-inve_"


@pytest.mark.parametrize(
    "text", [TOKEN, f"POST /bot{TOKEN}/sendMessage", f"The token `{TOKEN}` was rejected", f"x{TOKEN}."]
)
def test_a_bot_token_is_masked_wherever_it_stands(text: str) -> None:
    assert "invented" not in mask(text)


def test_a_phone_number_is_masked() -> None:
    assert mask("gọi 0951234567 hoặc +84951234567") == "gọi 095****567 hoặc +8495****567"
