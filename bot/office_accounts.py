"""The channels' accounts that an office of several has for itself, read from the environment beside the shared ones.

The name of a variable is that of the shared account's and the office's slug in capitals: ``TELEGRAM_TOKEN_DONG_PHUOC``
is the bot of ``dong-phuoc``. What an office has none of, it shares with all.

In the inbox and the outbox the citizen of such an account is called ``<slug>/<the channel's id>``: a person who writes
to two bots has two conversations, and a row says by itself which account it leaves from. Only telephone numbers stay
bare: a number is one person whichever of our numbers they write to.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from bot.conversation.model import Incoming
from bot.errors import BadInputError


class OfficeAccounts(BaseModel):
    """One office's own accounts; None: it shares everybody's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    telegram_token: SecretStr | None = None
    telegram_webhook_secret: SecretStr | None = Field(None, min_length=16, max_length=256)
    zalo_oa_id: str | None = Field(None, pattern=r"^\d{5,30}$")  # of an Official Account under the one application
    zalo_oa_secret: SecretStr | None = None
    zalo_templates: str | None = None
    zalo_bot_token: SecretStr | None = None
    zalo_bot_webhook_secret: SecretStr | None = Field(None, min_length=8, max_length=256)
    twilio_from: str | None = Field(None, min_length=3, max_length=20)
    twilio_messaging_service_sid: str | None = Field(None, pattern="^MG[0-9a-zA-Z]{32}$")
    esms_brandname: str | None = Field(None, min_length=1, max_length=20)
    sms_number: str | None = Field(
        None, pattern=r"^\+?[0-9]{3,15}$"
    )  # where citizens write to, by the generic web hook

    @field_validator("telegram_webhook_secret")
    @classmethod
    def _as_telegram_takes_it(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and not re.fullmatch("[A-Za-z0-9_-]+", secret.get_secret_value()):
            raise ValueError("Telegram chỉ nhận chữ không dấu, số, dấu _ và -")
        return secret

    @field_validator("zalo_templates")
    @classmethod
    def _by_event(cls, templates: str | None) -> str | None:
        if templates is not None:
            template_ids(templates)
        return templates

    def replacing(self, names: Collection[str]) -> dict[str, object]:
        """What takes the place of the shared settings of these names; what goes with an own account, too."""
        told: dict[str, object] = self.model_dump(exclude_none=True)
        for own, (beside, otherwise) in _BESIDE.items():
            if own in told:
                told.setdefault(beside, otherwise)
        return {name: value for name, value in told.items() if name in names}


# What belongs to the account of the first, and is never the shared account's.
_BESIDE = {
    "telegram_token": ("telegram_webhook_secret", None),
    "zalo_bot_token": ("zalo_bot_webhook_secret", None),
    "zalo_oa_id": ("zalo_templates", ""),
    "twilio_from": ("twilio_messaging_service_sid", None),
}
# Without these an office's bot cannot be told from another's.
_NOT_SHARED = (
    "telegram_token", "zalo_oa_id", "zalo_bot_token", "twilio_from", "twilio_messaging_service_sid", "sms_number",
)  # fmt: skip


def read_accounts(environment: Mapping[str, str], offices: tuple[str, ...]) -> dict[str, OfficeAccounts]:
    """The own accounts of the offices of a deployment.

    Args:
        environment: variable → value; empty values count as not set.
        offices: the slugs of all offices; with one there is nothing to tell apart, and nothing may be set.

    Returns:
        Slug → its accounts, for those that have some.

    Raises:
        BadInputError: for an office that is not here, a wrong value, or one account given to two; names the variable.
    """
    slugs = {slug.upper().replace("-", "_"): slug for slug in offices}
    found: dict[str, dict[str, str]] = defaultdict(dict)
    seen: dict[tuple[str, str], str] = {}
    for name, value in sorted(environment.items()):
        field = next((one for one in OfficeAccounts.model_fields if name.upper().startswith(f"{one.upper()}_")), None)
        if field is None or not value:
            continue
        slug = slugs.get(name.upper().removeprefix(f"{field.upper()}_"))
        if slug is None or len(offices) == 1:
            raise BadInputError(_nobodys(name, field, offices))
        shared = environment.get(field.upper()) == value
        other = seen.setdefault((field, value), name) if field in _NOT_SHARED else name
        if other != name or (shared and field in _NOT_SHARED):
            raise BadInputError(
                f"{name}: trùng với {field.upper() if shared else other}; mỗi cơ quan một tài khoản riêng"
            )
        found[slug][field] = value
    return {slug: _checked(slug, values) for slug, values in found.items()}


def _nobodys(name: str, field: str, offices: tuple[str, ...]) -> str:
    if len(offices) == 1:
        return f"{name}: chỉ dùng khi MOTCUA_OFFICES có nhiều cơ quan; một cơ quan thì đặt {field.upper()}"
    known = ", ".join(f"{field.upper()}_{slug.upper().replace('-', '_')}" for slug in offices[:3])
    return f"{name}: không có cơ quan nào như vậy trong MOTCUA_OFFICES; cần ví dụ {known}"


def _checked(slug: str, values: Mapping[str, str]) -> OfficeAccounts:
    try:
        return OfficeAccounts(**values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = f"{str(first['loc'][0]).upper()}_{slug.upper().replace('-', '_')}"
        raise BadInputError(f"{name}: {str(first['msg']).removeprefix('Value error, ')}") from None


def template_ids(templates: str) -> dict[str, str]:
    """Event → id of its registered Zalo template.

    Raises:
        ValueError: it is something else; says what is expected.
    """
    try:
        ids = json.loads(templates) if templates else {}
    except ValueError:
        ids = None
    if not isinstance(ids, dict) or not all(isinstance(one, str) and one for one in ids.values()):
        raise ValueError('cần JSON sự kiện → mã mẫu, ví dụ {"result_ready": "7895417a7d3f9461cd2e"}')
    return ids


def bare_number(number: str) -> str:
    """A telephone number or short code as digits alone, those of Vietnam with their 84; "" for a name."""
    digits = "".join(re.findall("[0-9]", number)) if re.fullmatch(r"[+0-9 ().-]*", number) else ""
    return f"84{digits[1:]}" if digits.startswith("0") else digits


def key(channel: str, account: str | None) -> str:
    """What one account of a channel is called: "telegram", of an office "telegram/dong-phuoc"."""
    return f"{channel}/{account}" if account else channel


def at_account(incoming: Incoming, account: str | None) -> Incoming:
    """A message as it came to an office's own account; None: the shared one, and nothing changes.

    The message's id gets the account too: each bot numbers the messages of a chat for itself.
    """
    if account is None:
        return incoming
    sender, message_id = (f"{account}/{told}" for told in (incoming.sender, incoming.message_id))
    return replace(incoming, sender=sender, message_id=message_id, account=account)


def account_of(recipient: str) -> str | None:
    """The office whose own account a citizen of a chat writes to, None for the shared one."""
    account, found, _ = recipient.partition("/")
    return account if found else None


def id_of(recipient: str) -> str:
    """What the channel itself calls the citizen."""
    return recipient.partition("/")[2] if "/" in recipient else recipient
