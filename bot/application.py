"""Putting the parts together: catalogue, engine, talk, service. Used by every command that talks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from bot.catalog.answers import Desk
from bot.catalog.kept import load_kept
from bot.catalog.loading import CatalogError
from bot.catalog.offices import Offices, load_offices
from bot.clock import local, utc_now
from bot.conversation.talk import Talk
from bot.errors import BadInputError
from bot.settings import Engine, Settings
from nlu.cache import ModelCache
from nlu.embedded import EmbeddedEngine
from nlu.entries import fingerprint
from nlu.port import NluEngine
from nlu.training_data import TrainingDataError


def open_desk(settings: Settings, catalog: Path | None = None) -> Desk:
    """Loads the catalogue and the profile of the office; of several, that of the default one.

    Raises:
        BadInputError: with the first fault and how many more there are.
    """
    try:
        office, province = load_offices(settings.catalog, settings.offices).profiles[settings.office]
        return Desk(
            load_kept(catalog or settings.catalog, settings.var_dir / "models"),
            office,
            province,
            local(utc_now()).date(),
        )
    except CatalogError as error:
        more = f" (và {len(error.faults) - 1} lỗi nữa, xem: motcua catalog check)" if len(error.faults) > 1 else ""
        raise BadInputError(f"{error.faults[0]}{more}") from error


def open_offices(settings: Settings) -> Offices:
    """Loads the profiles of all offices of the deployment.

    Raises:
        BadInputError: the first fault.
    """
    try:
        return load_offices(settings.catalog, settings.offices)
    except CatalogError as error:
        raise BadInputError(str(error.faults[0])) from error


def open_engine(settings: Settings, desk: Desk, engine: Engine | None = None, files: Desk | None = None) -> NluEngine:
    """Builds the engine asked for, else the configured one.

    Args:
        settings: the configured engine and where it keeps its models.
        desk: what it is to know: with the procedures that staff have added.
        engine: the engine asked for.
        files: the desk without these, which is what a Rasa model has learned; None: the same.

    Raises:
        BadInputError: the training content is wrong.
    """
    entries = desk.catalog.entries()
    try:
        embedded = EmbeddedEngine(entries, cache=ModelCache(settings.var_dir / "models"))
    except TrainingDataError as error:
        raise BadInputError(f"nlu/training: {error}") from error
    if (engine or settings.chosen_engine) is Engine.RASA:
        from nlu.rasa import RasaEngine  # noqa: PLC0415 - httpx only where it is used

        learned = (files or desk).catalog.entries()
        return RasaEngine(settings.rasa_url, embedded, catalogue=fingerprint(learned), limit=settings.rasa_seconds)
    return embedded


def open_talk(settings: Settings, desk: Desk, engine: NluEngine) -> Talk:
    """What turns need; the desk is asked for each turn, so that days and validity are right past midnight.

    Raises:
        BadInputError: the profile of an office is wrong.
    """
    offices = open_offices(settings)
    common = offices.common()

    def on(now: datetime) -> Desk:
        today = local(now).date()
        return desk if desk.today == today else replace(desk, today=today)

    def of(office: str | None, now: datetime) -> Desk:
        if office == settings.office:
            return on(now)
        profile, province = common if office is None else offices.profiles[office]
        return replace(on(now), office=profile, province=province)

    desk_on: Callable[[datetime], Desk] = on
    base = settings.public_base_url
    page = (lambda code: f"{base}/thu-tuc/{code}") if base else (lambda _code: None)
    return Talk(engine, desk_on, settings.keep_talk_days, page, offices=offices, desks=of)
