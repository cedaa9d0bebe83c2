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
    [
        ("PORT", "70000"),
        ("PUBLIC_BASE_URL", "motcua.vn"),
        ("MOTCUA_SECRET_KEY", "ngắn"),
        ("MOTCUA_ENGINE", "gpt"),
        ("MOTCUA_SMS_GATEWAY", "fax"),
        ("ESMS_BASE_URL", "rest.esms.vn"),
        ("ESMS_SANDBOX", "maybe"),
        ("SMS_INBOUND_SECRET", "ngắn"),
        ("ZALO_TEMPLATES", "7895417a7d3f9461cd2e"),
        ("ZALO_TEMPLATES", '["7895417a7d3f9461cd2e"]'),
        ("ZALO_TEMPLATES", '{"result_ready": 7895}'),
        ("ZALO_TEMPLATES", '{"result_ready": ""}'),
    ],
)
def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        load_settings()


def test_twilio_half_set_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "AC" + "0" * 32)
    with pytest.raises(SettingsError, match="TWILIO_AUTH_TOKEN"):
        load_settings()


@pytest.mark.parametrize(
    "set_up",
    [
        {"ESMS_API_KEY": "k"},
        {"ESMS_SECRET_KEY": "s", "ESMS_BRANDNAME": "MotCua"},
        {"ESMS_API_KEY": "k", "ESMS_SECRET_KEY": "s"},
        {"MOTCUA_SMS_GATEWAY": "esms"},
    ],
)
def test_esms_half_set_is_refused(monkeypatch: pytest.MonkeyPatch, set_up: dict[str, str]) -> None:
    for name, value in set_up.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match="ESMS_API_KEY, ESMS_SECRET_KEY và ESMS_BRANDNAME"):
        load_settings()


def test_esms_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ESMS_API_KEY": "k",
        "ESMS_SECRET_KEY": "s",
        "ESMS_BRANDNAME": "MotCua",
        "ESMS_SANDBOX": "1",
    }.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert (settings.sms_goes_through, settings.esms_sandbox) == ("esms", True)
    assert "k" not in repr(settings.esms_api_key)


def test_zalo_templates_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().zalo_template_ids == {}
    monkeypatch.setenv("ZALO_TEMPLATES", '{"result_ready": "7895417a7d3f9461cd2e"}')
    assert load_settings().zalo_template_ids == {"result_ready": "7895417a7d3f9461cd2e"}


OWN = {"TELEGRAM_TOKEN_DONG_PHUOC": "1:a", "TWILIO_FROM_CHAU_THANH": "XaCT", "ZALO_BOT_TOKEN_DONG_PHUOC": ""}


def test_an_offices_own_accounts_take_the_place_of_the_shared_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = {"MOTCUA_OFFICES": "chau-thanh,dong-phuoc", "TELEGRAM_TOKEN": "0:s", "TELEGRAM_WEBHOOK_SECRET": "s" * 20}
    for name, value in (shared | OWN).items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.owners("telegram_token") == ("dong-phuoc",)
    assert settings.owners("zalo_bot_token") == ()
    own = settings.at("dong-phuoc")
    assert own.telegram_token is not None
    assert own.telegram_token.get_secret_value() == "1:a"
    assert own.telegram_webhook_secret is None  # that of the shared bot belongs to it alone
    assert (settings.at("chau-thanh").twilio_from, own.twilio_from) == ("XaCT", None)
    assert settings.at("chau-thanh").telegram_token == settings.at(None).telegram_token == settings.telegram_token
    assert "1:a" not in repr(own)
    assert "1:a" not in repr(settings)


@pytest.mark.parametrize(
    ("set_up", "told"),
    [
        ({"TELEGRAM_TOKEN_XA_LA": "1:a"}, "TELEGRAM_TOKEN_XA_LA: không có cơ quan nào.*TELEGRAM_TOKEN_CHAU_THANH"),
        ({"TELEGRAM_TOKEN_DONG_PHUOC": "0:s"}, "TELEGRAM_TOKEN_DONG_PHUOC: trùng với TELEGRAM_TOKEN;"),
        (
            {"TELEGRAM_TOKEN_DONG_PHUOC": "1:a", "TELEGRAM_TOKEN_CHAU_THANH": "1:a"},
            "TELEGRAM_TOKEN_DONG_PHUOC: trùng với TELEGRAM_TOKEN_CHAU_THANH",
        ),
        (
            {"TELEGRAM_WEBHOOK_SECRET_DONG_PHUOC": "có dấu có dấu có dấu"},
            "TELEGRAM_WEBHOOK_SECRET_DONG_PHUOC: Telegram chỉ",
        ),
        ({"TWILIO_FROM_DONG_PHUOC": "ab"}, "TWILIO_FROM_DONG_PHUOC"),
        ({"MOTCUA_OFFICES": "dong-phuoc", "TELEGRAM_TOKEN_DONG_PHUOC": "1:a"}, "một cơ quan thì đặt TELEGRAM_TOKEN"),
    ],
)  # fmt: skip
def test_an_account_of_no_office_or_of_two_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, set_up: dict[str, str], told: str
) -> None:
    shared = {"MOTCUA_OFFICES": "chau-thanh,dong-phuoc", "TELEGRAM_TOKEN": "0:s"}
    for name, value in (shared | set_up).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=told) as refused:
        load_settings()
    assert "1:a" not in str(refused.value)
