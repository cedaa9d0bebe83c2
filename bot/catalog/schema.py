"""What a procedure (thủ tục hành chính) file may hold.

One YAML file a procedure, under ``procedures_data/<field>/<code>.yml``. Every
fact a citizen can be told is a typed field here; what is not known stays
absent and is answered as "chưa có dữ liệu", never guessed.
"""

from __future__ import annotations

import re
from datetime import date
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

PROCEDURE_CODE = re.compile(r"[1-9]\.\d{6}")

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=600)]
Code = Annotated[str, StringConstraints(pattern=r"^[1-9]\.\d{6}$")]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Month = Annotated[str, StringConstraints(pattern=r"^20\d\d-(0[1-9]|1[0-2])$")]


class Strict(BaseModel):
    """Base of all parts: unknown keys are faults, instances never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Aspect(StrEnum):
    """What a citizen may ask of a procedure, in the order of the contract."""

    DOCUMENTS = "documents"
    FEE = "fee"
    PROCESSING_TIME = "processing_time"
    WHERE = "where"
    STEPS = "steps"
    ONLINE = "online"
    FORM = "form"
    ELIGIBILITY = "eligibility"
    RESULT = "result"
    LEGAL_BASIS = "legal_basis"
    OVERVIEW = "overview"


class Channel(StrEnum):
    """How a dossier is handed in: at the counter, by post, online."""

    COUNTER = "counter"
    POST = "post"
    ONLINE = "online"


class DocumentKind(StrEnum):
    """``submit`` = nộp, ``show`` = xuất trình (shown and handed back), ``internal`` = made by the authority itself."""

    SUBMIT = "submit"
    SHOW = "show"
    INTERNAL = "internal"


class CopyKind(StrEnum):
    """In what shape a paper is wanted."""

    ORIGINAL = "original"  # bản chính
    CERTIFIED = "certified_copy"  # bản sao chứng thực
    COPY = "copy"  # bản sao / bản chụp
    ELECTRONIC = "electronic"  # bản điện tử
    ANY = "any"  # the record does not say


class Document(Strict):
    """One paper of the dossier (thành phần hồ sơ)."""

    name: Text
    kind: DocumentKind = DocumentKind.SUBMIT
    copy_kind: CopyKind = CopyKind.ANY
    count: Annotated[int, Field(ge=1, le=20)] = 1
    when: Text | None = None  # absent: always needed; else the condition, without "nếu"
    case: Text | None = None  # papers of one case only, e.g. "nhà thuê, mượn, ở nhờ"
    form: Text | None = None  # form number with its decree, e.g. "CT01 (Thông tư 53/2025/TT-BCA)"
    source: Text | None = None  # where this differs from the file's own source


class Fee(Strict):
    """One fee or charge (phí, lệ phí).

    Exactly one of ``amount`` (đồng, 0 = free) and ``set_by_province`` is given.
    """

    amount: Annotated[int, Field(ge=0, le=100_000_000)] | None = None
    set_by_province: bool = False
    unit: Text | None = None  # "bản", "trang", "lần", "trường hợp"
    channel: Channel | None = None
    what: Text | None = None  # what is paid for, where there are several
    when: Text | None = None
    exemption: Text | None = None  # who pays nothing or less
    note: Text | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    source: Text | None = None

    @model_validator(mode="after")
    def _one_amount(self) -> Self:
        if (self.amount is None) == (not self.set_by_province):
            raise ValueError("cần đúng một trong hai: amount (đồng) hoặc set_by_province: true")
        if self.valid_from and self.valid_to and self.valid_from > self.valid_to:
            raise ValueError("valid_from phải trước valid_to")
        return self


class TimeUnit(StrEnum):
    """Units of a time limit; they are never converted into each other."""

    SAME_DAY = "same_day"  # trong ngày làm việc nhận hồ sơ
    HOUR = "hour"
    WORKING_DAY = "working_day"  # ngày làm việc
    DAY = "day"  # ngày (lịch)
    MONTH = "month"


class ProcessingTime(Strict):
    """One time limit (thời hạn giải quyết)."""

    amount: Annotated[float, Field(gt=0, le=730)] | None = None
    unit: TimeUnit
    cutoff_15h: bool = False  # received after 15:00 → the next working day
    channel: Channel | None = None
    when: Text | None = None
    stage: Text | None = None  # where the record gives one limit for each stage
    note: Text | None = None
    source: Text | None = None

    @model_validator(mode="after")
    def _amount_fits_unit(self) -> Self:
        if (self.unit is TimeUnit.SAME_DAY) != (self.amount is None):
            raise ValueError("amount phải có, trừ unit: same_day thì không ghi amount")
        return self


class Where(Strict):
    """Who receives and who decides (nơi nộp, cơ quan giải quyết)."""

    filed_at: Text  # as told to the citizen, e.g. "Công an cấp xã"
    decided_by: Text | None = None
    anywhere_in_province: bool | None = None  # True only where the source says so
    note: Text | None = None


class Online(Strict):
    """What the source says of filing online."""

    available: bool
    note: Text | None = None  # e.g. "qua Cổng Dịch vụ công quốc gia hoặc VNeID"


class Form(Strict):
    """A form by number."""

    number: Text  # "CT01", "Mẫu số 1a"
    name: Text
    issued_by: Text | None = None  # "Thông tư 53/2025/TT-BCA"


class Sibling(Strict):
    """A procedure easily taken for this one."""

    code: Code
    question: Text  # asked of the citizen to tell the two apart


class Provenance(Strict):
    """Where the facts of a file come from."""

    source: Text  # "Cổng Dịch vụ công quốc gia"
    as_of: Month  # the month the source shows
    decision: Text | None = None  # the decision that published the record (quyết định công bố)
    grade: Annotated[str, StringConstraints(pattern="^[ABC]$")] = "B"


class Verification(Strict):
    """Which civil servant confirmed the facts, and when."""

    by: Text
    on: date


class Amendment(Strict):
    """A fact that comes from elsewhere than the file's own source: the office has changed it."""

    field: Literal[
        "documents", "fees", "processing_times", "where", "channels", "steps", "online", "forms", "eligibility",
        "results", "legal_basis", "notes",
    ]  # fmt: skip
    source: Text
    on: date  # from when on it is told


class Procedure(Strict):
    """One administrative procedure; see docs/add-a-procedure.md for an example."""

    code: Code
    name: Text  # official name, without "Thủ tục"
    short_name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=90)]
    field: Slug
    everyday_names: tuple[Text, ...] = ()
    examples: tuple[Text, ...] = ()
    choose_when: Text | None = None  # completes "Chọn mục này khi …"; used when asking back
    siblings: tuple[Sibling, ...] = ()
    sensitive: bool = False  # the subject itself is private (health, divorce, abuse…)
    audience: tuple[Text, ...] = ()
    where: Where | None = None
    channels: tuple[Channel, ...] = ()
    online: Online | None = None
    documents: tuple[Document, ...] = ()
    fees: tuple[Fee, ...] = ()
    processing_times: tuple[ProcessingTime, ...] = ()
    steps: tuple[Text, ...] = ()
    forms: tuple[Form, ...] = ()
    eligibility: tuple[Text, ...] = ()
    results: tuple[Text, ...] = ()
    legal_basis: tuple[Text, ...] = ()
    notes: tuple[Text, ...] = ()  # told to citizens after the answer
    components: tuple[Code, ...] = ()  # the procedures a combined one (liên thông) is made of
    verifier_notes: tuple[Text, ...] = ()  # for staff only, never told to citizens
    valid_from: date | None = None
    valid_to: date | None = None
    superseded_by: Code | None = None
    provenance: Provenance
    amendments: tuple[Amendment, ...] = ()
    verification: Verification | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.valid_from and self.valid_to and self.valid_from > self.valid_to:
            raise ValueError("valid_from phải trước valid_to")
        if self.superseded_by == self.code:
            raise ValueError("superseded_by không được trỏ về chính thủ tục này")
        if any(sibling.code == self.code for sibling in self.siblings):
            raise ValueError("siblings không được có chính thủ tục này")
        return self


class FieldInfo(Strict):
    """One field (lĩnh vực) as listed in ``procedures_data/fields.yml``."""

    name: Text
    everyday: Text | None = None  # how the menu calls it
    emoji: Annotated[str, StringConstraints(max_length=4)] | None = None
