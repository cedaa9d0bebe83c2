"""One dossier as the one-stop software tells it, checked field by field. Shared by import and API."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time

from bot.clock import VIETNAM
from bot.errors import BadInputError
from bot.logs import mask
from nlu.codes import find_codes, is_canonical

COLUMNS = (
    "code", "procedure", "status", "received_at", "due_at", "office", "phone", "consent_sms", "return_mode",
    "lookup_code", "note",
)  # fmt: skip
RETURN_MODES = ("counter", "post", "electronic")
NOTE_LENGTH = 500
_PROCEDURE = re.compile(r"[1-9]\.[0-9]{6}")
_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?:[ T](\d{1,2}):(\d{2})(?::\d{2})?)?", re.ASCII)
_ISO = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
_YEARS = range(2000, 2100)
_YES = {"1", "true", "yes", "x", "có", "co", "y"}
_NO = {"", "0", "false", "no", "không", "khong", "n"}


@dataclass(frozen=True, slots=True)
class DossierRecord:
    """A checked record; times aware, phone in E.164.

    Attributes:
        lookup_code: the secret code printed on the receipt; only its HMAC is stored.
    """

    code: str
    status: int
    procedure: str | None = None
    received_at: datetime | None = None
    due_at: datetime | None = None
    office: str | None = None
    phone: str | None = None
    consent_sms: bool = False
    return_mode: str = "counter"
    lookup_code: str | None = None
    note: str | None = None
    demo: bool = False


def told(text: str) -> str:
    """A refused value as it is shown: one short printable line, numbers of persons masked."""
    return f"«{''.join(c if c.isprintable() else ' ' for c in mask(text))[:40]}»"


def dossier_code(text: str) -> str:
    """A dossier code in any spelling → canonical.

    Raises:
        BadInputError: it is none, or there is more than one.
    """
    text = text.strip()
    if is_canonical(text):
        return text
    found = find_codes(text)
    if len(found) != 1:
        raise BadInputError(f"code: {told(text)} không phải mã hồ sơ; cần dạng H30.12.34-261116-0001")
    return found[0].code


def moment(field: str, text: str) -> datetime | None:
    """A date or time, ISO or dd/mm/yyyy [hh:mm], Vietnam time unless it names a zone; None for "".

    A bare date is taken as the start of the working day for ``received_at`` (07:00) and
    its end for ``due_at`` (17:00).

    Raises:
        BadInputError: no such form, no such day, or not of this century.
    """
    text = text.strip()
    if not text:
        return None
    clock = time(17, 0) if field == "due_at" else time(7, 0)
    wrong = f"{field}: ngày {told(text)} sai; cần dạng 2026-11-30 hoặc 30/11/2026 15:00"
    try:
        parsed = _parsed(text, clock)
    except ValueError as error:
        raise BadInputError(wrong) from error
    if parsed is None or parsed.year not in _YEARS:
        raise BadInputError(wrong)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=VIETNAM)


def _parsed(text: str, clock: time) -> datetime | None:
    if match := _DATE.fullmatch(text):
        day, month, year, hour, minute = match.groups()
        at = clock if hour is None else time(int(hour), int(minute))
        return datetime.combine(datetime(int(year), int(month), int(day), tzinfo=VIETNAM), at, VIETNAM)
    if not _ISO.fullmatch(text):
        return None
    parsed = datetime.fromisoformat(text)
    return datetime.combine(parsed, clock, VIETNAM) if len(text) == 10 else parsed


def status_number(text: str) -> int:
    """A status as typed → 1–10.

    Raises:
        BadInputError: it is none.
    """
    text = text.strip()
    if not re.fullmatch("0?[1-9]|10", text):
        raise BadInputError(f"status: {told(text)} sai; cần số từ 1 đến 10")
    return int(text)


def phone_number(text: str) -> str | None:
    """A Vietnamese mobile number in any spelling → E.164; None for "".

    Numbers starting 095 are accepted: valid in form, with no carrier, for trials.

    Raises:
        BadInputError: it is none; the number itself is not repeated.
    """
    import phonenumbers  # noqa: PLC0415 - megabytes of metadata, only when a number is checked

    text = text.strip()
    if not text:
        return None
    wrong = BadInputError("phone: không phải số di động Việt Nam; cần dạng 09xxxxxxxx")
    # Letters of an old key pad ("0912FLOWERS") and extensions are no way to write a number here.
    if not re.fullmatch(r"\+?[\d\s().-]{9,20}", text):
        raise wrong
    try:
        number = phonenumbers.parse(text, "VN")
    except phonenumbers.NumberParseException as error:
        raise wrong from error
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    trial = re.fullmatch(r"\+8495\d{7}", e164) is not None
    mobile = number.country_code == 84 and phonenumbers.number_type(number) == phonenumbers.PhoneNumberType.MOBILE
    if not trial and not (mobile and phonenumbers.is_valid_number(number)):
        raise wrong
    return e164


def _yes(field: str, text: str) -> bool:
    folded = unicodedata.normalize("NFC", text.strip().lower())
    if folded in _YES:
        return True
    if folded in _NO:
        return False
    raise BadInputError(f"{field}: {told(text)} sai; cần 1 hoặc 0 (có, không)")


def short_text(field: str, text: str, limit: int) -> str | None:
    """One line of text, NFC, blanks single; None for "".

    Raises:
        BadInputError: too long, or with control characters.
    """
    text = unicodedata.normalize("NFC", " ".join(text.split()))
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise BadInputError(f"{field}: có ký tự điều khiển; cần chữ thường")
    if len(text) > limit:
        raise BadInputError(f"{field}: dài {len(text)} ký tự, nhiều nhất {limit}")
    return text or None


def record_of(row: Mapping[str, str]) -> DossierRecord:
    """A row of strings → a checked record.

    Raises:
        BadInputError: names the first wrong field and what is expected.
    """
    for field, value in row.items():
        # A cell that a spreadsheet would run as a formula is never data; numbers like +84… and -1 are.
        if re.match(r"[=@]|[+-](?![\d\s().-]*$)", value.strip()):
            raise BadInputError(f"{field}: ô chứa công thức; cần giá trị thường")
    status = status_number(row.get("status", ""))
    procedure = row.get("procedure", "").strip() or None
    if procedure and not _PROCEDURE.fullmatch(procedure):
        raise BadInputError(f"procedure: {told(procedure)} sai; cần mã thủ tục như 1.001193")
    return_mode = row.get("return_mode", "").strip().lower() or "counter"
    if return_mode not in RETURN_MODES:
        raise BadInputError(f"return_mode: {told(return_mode)} sai; cần counter, post hoặc electronic")
    return DossierRecord(
        code=dossier_code(row.get("code", "")),
        status=status,
        procedure=procedure,
        received_at=moment("received_at", row.get("received_at", "")),
        due_at=moment("due_at", row.get("due_at", "")),
        office=short_text("office", row.get("office", ""), 200),
        phone=phone_number(row.get("phone", "")),
        consent_sms=_yes("consent_sms", row.get("consent_sms", "")),
        return_mode=return_mode,
        lookup_code=short_text("lookup_code", row.get("lookup_code", ""), 64),
        note=short_text("note", row.get("note", ""), NOTE_LENGTH),
    )
