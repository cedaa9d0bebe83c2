"""What the tests of gateways send, and the settings they send with."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from standins.esms import API_KEY, BRANDNAME, SECRET_KEY
from standins.zalo_template import TEMPLATE, TOKEN, USER

from bot.notices.gateways.base import Parcel
from bot.settings import Settings

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)  # 09:00 in Vietnam
PHONE = "+84951234567"
TEXT = "TTPVHCC xa Chau Thanh: ho so H30.99.01-261116-0001 da co ket qua."
PARCEL = Parcel(
    notice_id=7,
    reference="mc-7-261124020000",
    to=PHONE,
    text=TEXT,
    valid_for=timedelta(days=7),
    since=NOW - timedelta(minutes=10),
    template="result_ready",
    fields={"office": "Trung tâm Phục vụ hành chính công xã Châu Thành", "code": "H30.99.01-261116-0001"},
)


@dataclass
class Tokens:
    """Hands out access tokens, the next one where it is forced to."""

    tokens: list[str] = field(default_factory=lambda: [TOKEN])
    asked: list[bool] = field(default_factory=list)

    async def __call__(self, *, force: bool = False, office: str | None = None) -> str:  # noqa: ARG002 - the port's
        self.asked.append(force)
        if force and len(self.tokens) > 1:
            self.tokens.pop(0)
        return self.tokens[0]


def changed(settings: Settings, **changes: object) -> Settings:
    return Settings(**(settings.model_dump() | changes))


def with_esms(settings: Settings, url: str, **changes: object) -> Settings:
    values = {
        "esms_api_key": API_KEY,
        "esms_secret_key": SECRET_KEY,
        "esms_brandname": BRANDNAME,
        "esms_base_url": url,
        "public_base_url": "https://motcua.example",
    }
    return changed(settings, **(values | changes))


def with_zalo(settings: Settings, url: str) -> Settings:
    templates = json.dumps({"result_ready": TEMPLATE})
    return changed(settings, zalo_base_url=url, zalo_business_base_url=url, zalo_templates=templates)


def to_user(parcel: Parcel = PARCEL) -> Parcel:
    return replace(parcel, to=USER)
