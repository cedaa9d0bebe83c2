"""The doctor's findings on deployments that are well, and on each thing that can be amiss."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from standins.rasa import RasaStandIn
from standins.telegram import TOKEN, TelegramStandIn

from bot.cli import main
from bot.console.accounts import add_staff
from bot.doctor import Deployment, Finding, State, data, examine, machine, network
from bot.office_accounts import OfficeAccounts
from bot.settings import Engine, Settings
from bot.storage.database import Database
from bot.storage.listening import APPLICATION
from bot.storage.tables import Heartbeat

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
PUBLIC = "https://xa.example"
Answers = Callable[[httpx.Request], httpx.Response]


def _site(**other: httpx.Response) -> Answers:
    """An office that is well, seen from outside; ``other`` answers at these paths (``_`` for ``/``) instead."""

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        given = other.get(path.strip("/").replace("/", "_").replace("-", "_"))
        if given is None:
            good = {"/health": httpx.Response(200, json={"status": "ok"}), "/metrics": httpx.Response(404)}
            given = good.get(path, httpx.Response(403 if path.startswith("/webhooks") else 404))
        given.headers.setdefault("date", format_datetime(NOW, usegmt=True))
        return given

    return answer


@pytest.fixture
def look(sqlite_database: Database, settings: Settings) -> Iterator[Callable[..., list[Finding]]]:
    yield from _looking(sqlite_database, settings)


@pytest.fixture
def look_at_either(database: Database, settings: Settings) -> Iterator[Callable[..., list[Finding]]]:
    yield from _looking(database, settings)


def _looking(database: Database, settings: Settings) -> Iterator[Callable[..., list[Finding]]]:
    """Runs checks over the deployment of this test, with some settings changed, seen through some answers."""
    clients: list[httpx.Client] = []

    def run(*checks: Any, site: Answers | None = None, now: datetime = NOW, **changed: Any) -> list[Finding]:
        http = httpx.Client(transport=httpx.MockTransport(site)) if site else httpx.Client()
        clients.append(http)
        accounts = changed.pop("accounts", {})
        chosen = settings.model_copy(update=changed).with_accounts(accounts)
        deployment = Deployment(chosen, database, http, lambda: now)
        return list(examine(deployment, [(check.__name__, check) for check in (data.database, *checks)]))[1:]

    yield run
    for client in clients:
        client.close()


def _states(found: list[Finding]) -> list[State]:
    return [finding.state for finding in found]


def test_all_is_well(look: Any, sqlite_database: Database, settings: Settings) -> None:
    with sqlite_database.write() as session:
        add_staff(session, "canbo", "admin", "matkhau-du-dai-1", NOW)
        session.add(Heartbeat(name="backup", owner="x", at=NOW))
    settings.var_dir.mkdir(exist_ok=True)
    settings.var_dir.chmod(0o700)
    checks = (machine.folders, data.backups, data.staff, network.public_address, data.clocks)
    found = look(*checks, site=_site(), public_base_url=PUBLIC, trusted_proxies="127.0.0.1")
    assert set(_states(found)) == {State.OK}, found


def test_no_staff_and_no_backup_yet(look: Any) -> None:
    found = look(data.backups, data.staff)
    assert [f.subject for f in found if f.state is State.BAD and "staff add" in f.todo] == ["Cán bộ"]


def test_old_backups_and_none_possible(
    look_at_either: Any, database: Database, monkeypatch: Any, tmp_path: Any
) -> None:
    with database.write() as session:
        session.add(Heartbeat(name="backup", owner="x", at=NOW - timedelta(days=3)))
    monkeypatch.setenv("PATH", str(tmp_path))
    (found,) = look_at_either(data.backups)
    assert found.state is State.BAD
    assert "21/11/2026" in found.told if database.is_sqlite else "postgresql-client" in found.todo
    (off,) = look_at_either(data.backups, backup=False)
    assert off.state is State.NOTE


def test_a_key_that_others_can_read(look: Any, settings: Settings) -> None:
    settings.var_dir.mkdir(exist_ok=True)
    path = settings.var_dir / "secret.key"
    path.write_text("x" * 64)
    path.chmod(0o644)
    assert look(machine.key)[-1].todo == f"chmod 600 {path}"
    path.chmod(0o600)
    assert look(machine.key)[-1].state is State.OK


def test_a_full_disk(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, state in ((100, State.BAD), (1000, State.NOTE)):
        usage = type("Usage", (), {"free": free * 1024 * 1024})
        monkeypatch.setattr(machine.shutil, "disk_usage", lambda _path, usage=usage: usage)
        assert set(_states(look(machine.folders))) == {state}


def test_a_port_that_another_program_has(look: Any) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        number = other.getsockname()[1]
        (found,) = look(machine.port, port=number)
        assert found.state is State.BAD
    (free,) = look(machine.port, port=number)
    assert "còn trống" in free.told


@pytest.mark.parametrize(
    ("ready", "state"),
    [({"status": "ready", "reasons": {}}, State.OK), ({"status": "ready", "reasons": {"backup": "x"}}, State.NOTE),
     ({"status": "not ready", "reasons": {"inbox": "3 tin chờ"}}, State.BAD)],
)  # fmt: skip
def test_a_service_that_runs(look: Any, ready: dict[str, Any], state: State) -> None:
    (found,) = look(machine.port, site=_site(ready=httpx.Response(200, json=ready)), port=8000)
    assert found.state is state


@pytest.mark.parametrize("date", [timedelta(seconds=45), -timedelta(hours=7)])
def test_a_clock_that_is_off(look: Any, date: timedelta) -> None:
    found = look(
        network.public_address, data.clocks, site=_site(), now=NOW + date, public_base_url=PUBLIC, trusted_proxies="::1"
    )
    assert found[-1].state is State.BAD
    assert ("nhanh" if date > timedelta() else "chậm") in found[-1].told


@pytest.mark.postgres
def test_the_clock_of_the_database_counts(postgres_database: Database, settings: Settings) -> None:
    (looking,) = _looking(postgres_database, settings)
    (found,) = looking(data.clocks)
    assert "cơ sở dữ liệu" in found.told
    assert found.state is State.BAD  # the test's clock stands still


@pytest.mark.parametrize(
    ("now", "state"),
    [
        (datetime(2026, 10, 31, 16, tzinfo=UTC), State.OK),
        (NOW, State.NOTE),
        (datetime(2027, 1, 2, tzinfo=UTC), State.BAD),
    ],
)
def test_holidays_of_the_next_year(look: Any, now: datetime, state: State) -> None:
    assert _states(look(data.holidays, now=now)) == [state]


def test_a_catalogue_with_a_fault(look: Any, tmp_path: Any) -> None:
    (found,) = look(data.catalogue, catalog=tmp_path)
    assert (found.state, found.todo) == (State.BAD, "motcua catalog check")


@pytest.mark.parametrize(
    ("site", "told"),
    [
        (_site(health=httpx.Response(502)), "502"),
        (_site(health=httpx.Response(200, json={"status": "other"})), "không phải từ dịch vụ này"),
        (_site(webhooks_telegram=httpx.Response(404)), "/webhooks/telegram: trả lời 404"),
        (_site(metrics=httpx.Response(200)), "/metrics mở"),
    ],
)
def test_an_address_that_does_not_lead_here(look: Any, site: Answers, told: str) -> None:
    found = look(
        network.public_address, network.web_hooks, site=site, public_base_url=PUBLIC, trusted_proxies="::1",
        telegram_token=SecretStr(TOKEN),
    )  # fmt: skip
    assert [told in f.told for f in found if f.state is not State.OK] == [True], found


def test_an_address_nobody_answers_at(look: Any) -> None:
    def gone(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("CERTIFICATE_VERIFY_FAILED" if request.url.path == "/health" else "gone")

    found = look(
        network.public_address, network.web_hooks, site=gone, public_base_url=PUBLIC, zalo_bot_token=SecretStr("1:a")
    )
    assert _states(found) == [State.BAD, State.BAD]
    assert "chứng chỉ" in found[0].told


def test_telegrams_own_word(look: Any) -> None:
    with TelegramStandIn() as api:
        telegram = {"telegram_token": SecretStr(TOKEN), "telegram_base_url": api.url}
        (polling,) = look(network.telegram, **telegram, now=datetime.now(UTC))
        (missing,) = look(network.telegram, **telegram, public_base_url=PUBLIC)
        api.hook = {"url": f"{PUBLIC}/webhooks/telegram"}
        (well,) = look(network.telegram, **telegram, public_base_url=PUBLIC)
        api.last_error = "Wrong response from the webhook: 502 Bad Gateway"
        (failing,) = look(network.telegram, **telegram, public_base_url=PUBLIC)
        (wrong,) = look(network.telegram, telegram_token=SecretStr("1:wrong"), telegram_base_url=api.url)
    (dead,) = look(network.telegram, **telegram)
    assert _states([polling, missing, well, failing, wrong, dead]) == [
        State.OK, State.BAD, State.OK, State.BAD, State.BAD, State.BAD,
    ]  # fmt: skip
    assert "502 Bad Gateway" in failing.told
    assert "token bị từ chối" in wrong.told
    assert TOKEN not in str([polling, missing, well, failing, wrong, dead])


@pytest.mark.parametrize(
    ("answer", "state"),
    [(httpx.Response(200, json={"status": "active"}), State.OK), (httpx.Response(401, json={}), State.BAD),
     (httpx.Response(200, json={"status": "suspended"}), State.BAD)],
)  # fmt: skip
def test_twilios_account(look: Any, answer: httpx.Response, state: State) -> None:
    asked: list[httpx.Request] = []

    def site(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answer

    (found,) = look(
        network.sms, site=site, twilio_account_sid="AC" + "0" * 32, twilio_auth_token=SecretStr("t"), twilio_from="Xa"
    )
    assert found.state is state
    assert asked[0].url.path == f"/2010-04-01/Accounts/AC{'0' * 32}.json"
    assert asked[0].headers["authorization"].startswith("Basic ")


def test_rasa_that_learnt_from_another_catalogue(look: Any) -> None:
    with RasaStandIn() as server:
        (other,) = look(network.rasa, engine=Engine.RASA, rasa_url=server.url)
        server.fault = "garbage"
        (garbage,) = look(network.rasa, engine=Engine.RASA, rasa_url=server.url)
    (dead,) = look(network.rasa, engine=Engine.RASA, rasa_url=server.url)
    assert [f.todo for f in (other, garbage, dead)] == ["chạy lại make rasa", "xem nhật ký của Rasa", "chạy make rasa"]


def test_a_check_that_breaks_is_a_finding_and_tells_no_address(look: Any) -> None:
    def broken(_: Deployment) -> list[Finding]:
        raise RuntimeError("https://api/bot123:secret")

    found = look(broken, machine.python)
    assert _states(found) == [State.BAD, State.OK]
    assert "secret" not in str(found)


def test_the_command(
    sqlite_database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOTCUA_VAR_DIR", str(settings.var_dir))
    monkeypatch.setenv("PORT", "0")
    assert main(["doctor", "--offline", "--json"]) == 1
    told = {line["subject"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert [subject for subject, line in told.items() if line["state"] == "cần làm"] == ["Cán bộ"]
    with sqlite_database.write() as session:
        add_staff(session, "canbo", "admin", "matkhau-du-dai-1", NOW)
    assert main(["doctor", "--offline"]) == 0
    assert "Cơ sở dữ liệu" in capsys.readouterr().out


def test_a_fresh_machine_is_told_what_to_run_and_nothing_is_made(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOTCUA_VAR_DIR", str(settings.var_dir))
    assert main(["doctor", "--offline"]) == 1
    assert "motcua db upgrade" in capsys.readouterr().out
    assert not (settings.var_dir / "motcua.sqlite3").exists()


@pytest.mark.postgres
def test_all_replicas_must_fit_into_the_servers_connections(postgres_database: Database, settings: Settings) -> None:
    def found(**changed: Any) -> Finding:
        with httpx.Client() as http:
            deployment = Deployment(settings.model_copy(update=changed), postgres_database, http, lambda: NOW)
            return list(examine(deployment, [("a", data.database), ("b", data.connections)]))[-1]

    with postgres_database.read() as session:
        most = int(session.execute(text("SHOW max_connections")).scalar_one())
        kept = int(session.execute(text("SHOW superuser_reserved_connections")).scalar_one())
    pool = most - kept - 4 - 1  # what one replica may have
    assert found(database_pool=pool).state is State.OK
    too_many = found(database_pool=pool + 1)
    assert too_many.state is State.BAD
    assert f"MOTCUA_DATABASE_POOL={pool}," in too_many.todo
    assert f"max_connections lên {most + 1}" in too_many.todo
    assert found(database_pool=pool, replicas=2).state is State.BAD
    # A limit of the database itself counts where it is less.
    with postgres_database.write() as session:
        session.execute(text("ALTER DATABASE motcua CONNECTION LIMIT 30"))
    try:
        assert "máy chủ cho 30" in found(replicas=3).told
    finally:
        with postgres_database.write() as session:
            session.execute(text("ALTER DATABASE motcua CONNECTION LIMIT -1"))


@pytest.mark.postgres
def test_replicas_that_run_are_counted(postgres_database: Database, settings: Settings) -> None:
    _, given = postgres_database.engine.dialect.create_connect_args(postgres_database.url)
    given["application_name"] = APPLICATION
    with psycopg.connect(**given), psycopg.connect(**given), httpx.Client() as http:
        deployment = Deployment(settings, postgres_database, http, lambda: NOW)
        found = list(examine(deployment, [("a", data.database), ("b", data.connections)]))[-1]
    assert found.told.startswith("2 bản × (10 + 1 để nghe)")


def test_a_pool_is_no_larger_than_set() -> None:
    database = Database("postgresql+psycopg://nobody@localhost/none", pool=7)
    assert database.engine.pool.size() + database.engine.pool._max_overflow == 7  # type: ignore[attr-defined]


OWN_TOKEN = "223344550:AAstandin-standin-standin-standin-st"


def test_each_bot_and_its_web_hook_are_looked_at(look: Any) -> None:
    own = {"dong-phuoc": OfficeAccounts(telegram_token=SecretStr(OWN_TOKEN))}
    with TelegramStandIn() as api, TelegramStandIn() as other:
        other.token = OWN_TOKEN
        api.beside[OWN_TOKEN] = other
        changed = {"telegram_token": SecretStr(TOKEN), "telegram_base_url": api.url, "public_base_url": PUBLIC}
        several = changed | {"office_list": "chau-thanh,dong-phuoc", "accounts": own}
        api.hook = {"url": f"{PUBLIC}/webhooks/telegram"}
        shared, missing = look(network.telegram, **several)
        other.hook = {"url": f"{PUBLIC}/webhooks/telegram/dong-phuoc"}
        _, well = look(network.telegram, **several)
        alone = look(network.telegram, **several | {"telegram_token": None})
    assert (shared.subject, missing.subject) == ("Telegram", "Telegram dong-phuoc")
    assert _states([shared, missing, well, *alone]) == [State.OK, State.BAD, State.OK, State.OK]
    assert f"cần «{PUBLIC}/webhooks/telegram/dong-phuoc»" in missing.told
    hooks = look(network.web_hooks, site=_site(), **several)
    assert [one.told.partition(":")[0] for one in hooks] == ["/webhooks/telegram", "/webhooks/telegram/dong-phuoc"]


def test_the_tokens_of_each_official_account_are_looked_at(look: Any) -> None:
    zalo = {"zalo_app_id": "1234567890", "zalo_app_secret": SecretStr("a"), "zalo_oa_secret": SecretStr("b")}
    (alone,) = look(data.zalo_tokens, **zalo)
    own = {"dong-phuoc": OfficeAccounts(zalo_oa_id="388613280878800002")}
    (found,) = look(data.zalo_tokens, **zalo, office_list="chau-thanh,dong-phuoc", accounts=own)
    assert (alone.state, alone.todo) == (State.BAD, "motcua zalo login")
    assert (found.subject, found.todo) == ("Zalo OA dong-phuoc", "motcua zalo login --office dong-phuoc")


def test_the_senders_of_offices_are_told(look: Any) -> None:
    own = {"dong-phuoc": OfficeAccounts(esms_brandname="XaDongPhuoc")}
    esms = {"esms_api_key": SecretStr("k"), "esms_secret_key": SecretStr("s"), "esms_brandname": "MotCua"}
    _, senders = look(network.sms, **esms, office_list="chau-thanh,dong-phuoc", accounts=own)
    assert (senders.state, senders.told) == (State.OK, "người gửi riêng: dong-phuoc XaDongPhuoc")
