"""All settings, read from the environment; ``deploy/motcua.env.example`` documents every one.

A wrong value stops the start with the variable's name and what is expected.
Secrets come only from the environment and never show in ``repr`` or logs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, PrivateAttr, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot.errors import BadInputError
from bot.office_accounts import OfficeAccounts, bare_number, read_accounts, template_ids

ROOT = Path(__file__).resolve().parent.parent


_SLUG = "[a-z0-9-]{2,60}"


class SettingsError(ValueError):
    """The environment holds a wrong value; the message names the variable."""


class Engine(StrEnum):
    """Which NLU engine reads messages."""

    EMBEDDED = "embedded"
    RASA = "rasa"


class SmsGateway(StrEnum):
    """Where SMS go. ``auto``: Twilio where TWILIO_* is set, else eSMS where ESMS_* is, else the phone simulator."""

    AUTO = "auto"
    SIMULATOR = "simulator"
    TWILIO = "twilio"
    ESMS = "esms"


def _http_base(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("cần địa chỉ bắt đầu bằng http:// hoặc https://")
    return value.rstrip("/")


_ORIGIN = re.compile(
    r"(?:https://[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|http://(?:localhost|127\.0\.0\.1))"
    r"(?::([1-9]\d{0,4}))?"
)


def _origins(value: str) -> str:
    """Origins only: they stand in a security header, where a path or a wild card would mean something else."""
    for site in _listed(value):
        found = _ORIGIN.fullmatch(site)
        if found is None or int(found[1] or 1) > 65535:
            raise ValueError(
                f"«{site}» không phải địa chỉ trang; cần https://tên-miền[:cổng], cách nhau bằng dấu phẩy, không có "
                "đường dẫn hay dấu / ở cuối (http:// chỉ dùng cho localhost và 127.0.0.1)"
            )
    return value


def _listed(value: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip().lower() for part in value.split(",") if part.strip()))


Url = Annotated[str, AfterValidator(_http_base)]


class Settings(BaseSettings):
    """One office's configuration. Field aliases are the environment variables."""

    model_config = SettingsConfigDict(
        env_file=None, extra="ignore", frozen=True, populate_by_name=True, env_ignore_empty=True
    )

    demo: bool = Field(default=False, validation_alias="MOTCUA_DEMO")
    var_dir: Path = Field(ROOT / "var", validation_alias="MOTCUA_VAR_DIR")
    database_url: str = Field("", validation_alias="MOTCUA_DATABASE_URL")
    database_pool: int = Field(10, ge=2, le=200, validation_alias="MOTCUA_DATABASE_POOL")
    replicas: int = Field(1, ge=1, le=200, validation_alias="MOTCUA_REPLICAS")
    catalog: Path = Field(ROOT / "procedures_data", validation_alias="MOTCUA_CATALOG")
    office: str = Field("chau-thanh", pattern=rf"^{_SLUG}$", validation_alias="MOTCUA_OFFICE")
    office_list: str = Field("", validation_alias="MOTCUA_OFFICES")  # of a province; empty: the one above alone
    engine: Engine = Field(Engine.EMBEDDED, validation_alias="MOTCUA_ENGINE")
    nlu_engine: Engine | None = Field(None, validation_alias="NLU_ENGINE")  # another name of the one above; wins
    labelled_sets: str = Field("", validation_alias="MOTCUA_LABELLED_SETS")
    training_folds: int = Field(3, ge=0, le=10, validation_alias="MOTCUA_TRAINING_FOLDS")
    training_nice: int = Field(10, ge=0, le=19, validation_alias="MOTCUA_TRAINING_NICE")
    rasa_url: Url = Field("http://127.0.0.1:5005", validation_alias="MOTCUA_RASA_URL")
    rasa_seconds: float = Field(1.0, ge=0.05, le=10, validation_alias="MOTCUA_RASA_SECONDS")
    host: str = Field("127.0.0.1", validation_alias="HOST")
    port: int = Field(8000, ge=0, le=65535, validation_alias="PORT")
    public_base_url: Url | None = Field(None, validation_alias="PUBLIC_BASE_URL")
    trusted_proxies: str = Field("", validation_alias="MOTCUA_TRUSTED_PROXIES")
    secret_key: SecretStr | None = Field(None, min_length=32, validation_alias="MOTCUA_SECRET_KEY")
    api_key: SecretStr | None = Field(None, min_length=24, validation_alias="MOTCUA_API_KEY")
    backup: bool = Field(default=True, validation_alias="MOTCUA_BACKUP")
    backup_dir: Path | None = Field(None, validation_alias="MOTCUA_BACKUP_DIR")
    backup_keep: int = Field(14, ge=1, le=3650, validation_alias="MOTCUA_BACKUP_KEEP")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", validation_alias="MOTCUA_LOG_LEVEL")
    log_format: str = Field("text", pattern="^(text|json)$", validation_alias="MOTCUA_LOG_FORMAT")

    notice_delay_minutes: float = Field(3, ge=0, le=1440, validation_alias="MOTCUA_NOTICE_DELAY_MINUTES")
    notice_from_hour: int = Field(7, ge=0, le=23, validation_alias="MOTCUA_NOTICE_FROM_HOUR")
    notice_to_hour: int = Field(21, ge=1, le=24, validation_alias="MOTCUA_NOTICE_TO_HOUR")
    notice_basis: str = Field("", max_length=200, validation_alias="MOTCUA_NOTICE_BASIS")
    notices_per_recipient_day: int = Field(5, ge=1, validation_alias="MOTCUA_NOTICES_PER_RECIPIENT_DAY")
    sms_per_second: float = Field(10, gt=0, le=1000, validation_alias="MOTCUA_SMS_PER_SECOND")
    sms_segments_per_day: int = Field(0, ge=0, validation_alias="MOTCUA_SMS_SEGMENTS_PER_DAY")
    sms_dong_per_day: int = Field(0, ge=0, validation_alias="MOTCUA_SMS_DONG_PER_DAY")
    sms_dong_per_segment: float = Field(520, ge=0, validation_alias="MOTCUA_SMS_DONG_PER_SEGMENT")
    handset_receipts: str = Field("", validation_alias="MOTCUA_HANDSET_RECEIPTS")
    sms_gateway: SmsGateway = Field(SmsGateway.AUTO, validation_alias="MOTCUA_SMS_GATEWAY")
    twilio_account_sid: str | None = Field(None, pattern="^AC[0-9a-zA-Z]{32}$", validation_alias="TWILIO_ACCOUNT_SID")
    twilio_auth_token: SecretStr | None = Field(None, validation_alias="TWILIO_AUTH_TOKEN")
    twilio_from: str | None = Field(None, min_length=3, max_length=20, validation_alias="TWILIO_FROM")
    twilio_messaging_service_sid: str | None = Field(
        None, pattern="^MG[0-9a-zA-Z]{32}$", validation_alias="TWILIO_MESSAGING_SERVICE_SID"
    )
    twilio_base_url: Url | None = Field(None, validation_alias="TWILIO_BASE_URL")
    esms_api_key: SecretStr | None = Field(None, validation_alias="ESMS_API_KEY")
    esms_secret_key: SecretStr | None = Field(None, validation_alias="ESMS_SECRET_KEY")
    esms_brandname: str | None = Field(None, min_length=1, max_length=20, validation_alias="ESMS_BRANDNAME")
    esms_base_url: Url = Field("https://rest.esms.vn", validation_alias="ESMS_BASE_URL")
    esms_sandbox: bool = Field(default=False, validation_alias="ESMS_SANDBOX")
    sms_inbound_secret: SecretStr | None = Field(None, min_length=32, validation_alias="SMS_INBOUND_SECRET")
    telegram_token: SecretStr | None = Field(None, validation_alias="TELEGRAM_TOKEN")
    telegram_base_url: Url = Field("https://api.telegram.org", validation_alias="TELEGRAM_BASE_URL")
    telegram_webhook_secret: SecretStr | None = Field(
        None, min_length=16, max_length=256, validation_alias="TELEGRAM_WEBHOOK_SECRET"
    )

    zalo_app_id: str | None = Field(None, pattern=r"^\d{5,30}$", validation_alias="ZALO_APP_ID")
    zalo_app_secret: SecretStr | None = Field(None, validation_alias="ZALO_APP_SECRET")
    zalo_oa_secret: SecretStr | None = Field(None, validation_alias="ZALO_OA_SECRET")  # signs web hooks
    zalo_oauth_base_url: Url = Field("https://oauth.zaloapp.com", validation_alias="ZALO_OAUTH_BASE_URL")
    zalo_base_url: Url = Field("https://openapi.zalo.me", validation_alias="ZALO_BASE_URL")
    zalo_business_base_url: Url = Field("https://business.openapi.zalo.me", validation_alias="ZALO_BUSINESS_BASE_URL")
    zalo_templates: str = Field("", validation_alias="ZALO_TEMPLATES")
    zalo_templates_per_second: float = Field(10, gt=0, le=60, validation_alias="MOTCUA_ZALO_TEMPLATES_PER_SECOND")
    zalo_photo_hosts: str = Field("", validation_alias="ZALO_PHOTO_HOSTS")
    zalo_site_verification: str | None = Field(
        None, pattern=r"^[\w-]{8,200}$", validation_alias="ZALO_SITE_VERIFICATION"
    )
    zalo_trust_shared_phone: bool = Field(default=False, validation_alias="ZALO_TRUST_SHARED_PHONE")
    zalo_bot_token: SecretStr | None = Field(None, validation_alias="ZALO_BOT_TOKEN")
    zalo_bot_base_url: Url = Field("https://bot-api.zaloplatforms.com", validation_alias="ZALO_BOT_BASE_URL")
    zalo_bot_webhook_secret: SecretStr | None = Field(
        None, min_length=8, max_length=256, validation_alias="ZALO_BOT_WEBHOOK_SECRET"
    )

    embed_sites: Annotated[str, AfterValidator(_origins)] = Field("", validation_alias="MOTCUA_EMBED_SITES")
    web_messages_per_minute: int = Field(20, ge=1, validation_alias="MOTCUA_WEB_MESSAGES_PER_MINUTE")
    web_messages_per_network_minute: int = Field(200, ge=1, validation_alias="MOTCUA_WEB_MESSAGES_PER_NETWORK_MINUTE")
    codes_per_sender_day: int = Field(3, ge=1, validation_alias="MOTCUA_CODES_PER_SENDER_DAY")
    codes_per_dossier_day: int = Field(3, ge=1, validation_alias="MOTCUA_CODES_PER_DOSSIER_DAY")
    code_minutes: int = Field(5, ge=1, le=30, validation_alias="MOTCUA_CODE_MINUTES")
    access_hours: int = Field(24, ge=1, le=720, validation_alias="MOTCUA_ACCESS_HOURS")
    proofs_per_sender_hour: int = Field(5, ge=1, validation_alias="MOTCUA_PROOFS_PER_SENDER_HOUR")
    proofs_per_dossier_day: int = Field(20, ge=1, validation_alias="MOTCUA_PROOFS_PER_DOSSIER_DAY")
    unknown_codes_per_sender_hour: int = Field(8, ge=1, validation_alias="MOTCUA_UNKNOWN_CODES_PER_SENDER_HOUR")
    lookups_per_sender_hour: int = Field(20, ge=1, validation_alias="MOTCUA_LOOKUPS_PER_SENDER_HOUR")
    lookups_per_network_hour: int = Field(120, ge=1, validation_alias="MOTCUA_LOOKUPS_PER_NETWORK_HOUR")
    session_hours: int = Field(10, ge=1, le=72, validation_alias="MOTCUA_SESSION_HOURS")
    keep_talk_days: int = Field(90, ge=1, validation_alias="MOTCUA_KEEP_TALK_DAYS")
    keep_lookups_days: int = Field(30, ge=1, validation_alias="MOTCUA_KEEP_LOOKUPS_DAYS")

    _accounts: Mapping[str, OfficeAccounts] = PrivateAttr(default_factory=dict)
    _of: str | None = PrivateAttr(None)  # the office as whose accounts see them

    @model_validator(mode="after")
    def _offices(self) -> Self:
        """The office that is the default: ``MOTCUA_OFFICE``, else the first of ``MOTCUA_OFFICES``."""
        listed = _listed(self.office_list)
        for slug in listed:
            if not re.fullmatch(_SLUG, slug):
                raise ValueError(f"MOTCUA_OFFICES: «{slug}» không phải tên tệp của cơ quan (chữ thường, số, dấu -)")
        if listed and "office" not in self.model_fields_set:
            self.__dict__["office"] = listed[0]  # the model is frozen for everybody else
        elif listed and self.office not in listed:
            raise ValueError(f"MOTCUA_OFFICES: cần có cả {self.office} (MOTCUA_OFFICE)")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.notice_from_hour >= self.notice_to_hour:
            raise ValueError("MOTCUA_NOTICE_FROM_HOUR: cần nhỏ hơn MOTCUA_NOTICE_TO_HOUR")
        wants_twilio = self.sms_gateway is SmsGateway.TWILIO
        if (wants_twilio or self.twilio_account_sid) and not self.has_twilio:
            raise ValueError(
                "TWILIO_*: cần đủ TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN và một trong "
                "TWILIO_FROM, TWILIO_MESSAGING_SERVICE_SID"
            )
        wants_esms = self.sms_gateway is SmsGateway.ESMS
        if (wants_esms or self.esms_api_key or self.esms_secret_key) and not self.has_esms:
            raise ValueError("ESMS_*: cần đủ ESMS_API_KEY, ESMS_SECRET_KEY và ESMS_BRANDNAME")
        try:
            template_ids(self.zalo_templates)
        except ValueError as error:
            raise ValueError(f"ZALO_TEMPLATES: {error}") from None
        secret = self.telegram_webhook_secret
        if secret is not None and not re.fullmatch("[A-Za-z0-9_-]+", secret.get_secret_value()):
            raise ValueError("TELEGRAM_WEBHOOK_SECRET: Telegram chỉ nhận chữ không dấu, số, dấu _ và -")
        zalo = (self.zalo_app_id, self.zalo_app_secret, self.zalo_oa_secret)
        if any(zalo) and not all(zalo):
            raise ValueError("ZALO_*: cần đủ ZALO_APP_ID, ZALO_APP_SECRET và ZALO_OA_SECRET")
        return self

    @property
    def offices(self) -> tuple[str, ...]:
        """The slugs of all offices of this deployment, in order; mostly the one."""
        return _listed(self.office_list) or (self.office,)

    def with_accounts(self, accounts: Mapping[str, OfficeAccounts]) -> Self:
        """The same with the offices' own accounts: slug → those that it has."""
        copy = self.model_copy()
        copy._accounts = accounts  # noqa: SLF001 - our own
        return copy

    def owners(self, field: str) -> tuple[str, ...]:
        """The offices that have an own account of a kind (a field of ``OfficeAccounts``), in order."""
        return tuple(slug for slug in self.offices if getattr(self._accounts.get(slug), field, None) is not None)

    def accounts(self, field: str) -> tuple[str | None, ...]:
        """The accounts of a kind that are set up: None for the shared one, then the offices that have their own."""
        shared = (None,) if getattr(self, field) is not None else ()
        return shared + self.owners(field)

    def at(self, office: str | None) -> Self:
        """The settings as an office's own accounts see them; None, or one without: as they are."""
        own = self._accounts.get(office or "")
        if own is None:
            return self
        copy = self.model_copy(update=own.replacing(type(self).model_fields))
        copy._of = office  # noqa: SLF001 - our own
        return copy

    @property
    def zalo_oa_id(self) -> str | None:
        """The Official Account of the office that these settings are of, None for the one that all share."""
        return self._accounts[self._of].zalo_oa_id if self._of else None

    def office_of_oa(self, oa_id: str) -> str | None:
        """The office whose own Official Account this is, None for the shared one."""
        return next((slug for slug, own in self._accounts.items() if own.zalo_oa_id == oa_id), None)

    def has_own_sender(self, office: str | None, channel: str) -> bool:
        """Whether notices of an office leave from an account of its own; ``channel``: of ``notices.gateways``."""
        own = self.at(office)
        if channel != "sms":
            return own.zalo_oa_id is not None
        names = ("twilio_messaging_service_sid", "twilio_from", "esms_brandname")
        return any(getattr(own, name) != getattr(self, name) for name in names)

    def office_of_sms(self, number: str, service: str = "") -> str | None:
        """The office whose own number or messaging service an SMS was sent to, None for the shared one.

        Args:
            number: as the gateway tells it.
            service: Twilio's id of the messaging service, where it tells one.
        """
        bare = bare_number(number)
        for slug, own in self._accounts.items():
            if service and service == own.twilio_messaging_service_sid:
                return slug
            if bare and bare in {bare_number(own.sms_number or ""), bare_number(own.twilio_from or "")}:
                return slug
        return None

    @property
    def embed_origins(self) -> tuple[str, ...]:
        """The sites that may show the chat in a frame, as origins; empty: none may."""
        return _listed(self.embed_sites)

    @property
    def backups(self) -> Path:
        """The folder of the nightly backups; ``backups`` under ``var_dir`` by default."""
        return self.backup_dir or self.var_dir / "backups"

    @property
    def labelled_files(self) -> tuple[Path, ...]:
        """The labelled sets that candidates of the bank of models are compared on."""
        return tuple(Path(part.strip()).absolute() for part in self.labelled_sets.split(",") if part.strip())

    @property
    def has_zalo_oa(self) -> bool:
        """Whether a Zalo Official Account is set up."""
        return self.zalo_app_id is not None

    @property
    def receipts_from(self) -> frozenset[str]:
        """The gateways whose "delivered" the office has found to come from handsets."""
        return frozenset(name.strip() for name in self.handset_receipts.split(",") if name.strip())

    @property
    def has_twilio(self) -> bool:
        """Whether everything Twilio needs is set."""
        sender = self.twilio_from or self.twilio_messaging_service_sid
        return bool(self.twilio_account_sid and self.twilio_auth_token and sender)

    @property
    def has_esms(self) -> bool:
        """Whether everything eSMS needs is set."""
        return bool(self.esms_api_key and self.esms_secret_key and self.esms_brandname)

    @property
    def sms_goes_through(self) -> SmsGateway:
        """The gateway of real SMS: SIMULATOR, TWILIO or ESMS."""
        if self.sms_gateway is not SmsGateway.AUTO:
            return self.sms_gateway
        return SmsGateway.TWILIO if self.has_twilio else SmsGateway.ESMS if self.has_esms else SmsGateway.SIMULATOR

    @property
    def uses_twilio(self) -> bool:
        """Whether real SMS go out through Twilio."""
        return self.sms_goes_through is SmsGateway.TWILIO

    @property
    def zalo_template_ids(self) -> dict[str, str]:
        """Event → id of its registered Zalo template; empty where none is set."""
        return template_ids(self.zalo_templates)

    @property
    def chosen_engine(self) -> Engine:
        """The engine that reads messages, by whichever name it was set."""
        return self.nlu_engine or self.engine

    @property
    def database(self) -> str:
        """The SQLAlchemy address of the database; SQLite under ``var_dir`` by default."""
        return self.database_url or f"sqlite:///{self.var_dir / 'motcua.sqlite3'}"


def load_settings() -> Settings:
    """Reads the environment.

    Raises:
        SettingsError: one line a wrong variable: its name and what is expected.
    """
    try:
        settings = Settings()
        return settings.with_accounts(read_accounts(os.environ, settings.offices))
    except BadInputError as error:
        raise SettingsError(str(error)) from None
    except ValidationError as error:
        lines = []
        for item in error.errors(include_url=False, include_input=False):
            name = str(item["loc"][0]) if item["loc"] else ""
            message = str(item["msg"]).removeprefix("Value error, ")
            lines.append(f"{name}: {message}" if name else message)
        raise SettingsError("; ".join(lines)) from None
