"""Every setting is documented in the example file, and a wrong one is refused by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.settings import Settings, SettingsError, load_settings

EXAMPLE = Path(__file__).resolve().parent.parent / "deploy" / "motcua.env.example"


def test_the_example_file_names_every_variable() -> None:
    documented = set(re.findall(r"^# ([A-Z_]+)=", EXAMPLE.read_text("utf-8"), re.MULTILINE))
    assert documented == {str(field.validation_alias) for field in Settings.model_fields.values()}


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "70000"), ("PUBLIC_BASE_URL", "motcua.vn"), ("MOTCUA_SECRET_KEY", "ngắn"), ("MOTCUA_ENGINE", "gpt")],
)
def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        load_settings()


def test_twilio_half_set_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "AC" + "0" * 32)
    with pytest.raises(SettingsError, match="TWILIO_AUTH_TOKEN"):
        load_settings()
