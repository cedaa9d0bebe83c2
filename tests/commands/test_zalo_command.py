"""``motcua zalo``: the first token by consent or by hand, how it is, and bad input that changes nothing."""

from __future__ import annotations

import io
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlmodel import select
from standins.zalo_oa import APP_ID, APP_SECRET, OA_SECRET, ZaloStandIn

from bot.channels.zalo_oa.oauth import pkce_challenge, pkce_verifier
from bot.channels.zalo_oa.tokens import stored
from bot.cli import main
from bot.settings import Settings, load_settings
from bot.storage.database import Database
from bot.storage.tables import ChannelToken

PUBLIC = "https://motcua.example.vn"


@pytest.fixture
def zalo() -> Iterator[ZaloStandIn]:
    with ZaloStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def office(
    settings: Settings, sqlite_database: Database, zalo: ZaloStandIn, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """What the command reads from the environment."""
    environment = {
        "MOTCUA_VAR_DIR": str(settings.var_dir), "ZALO_APP_ID": APP_ID, "ZALO_APP_SECRET": APP_SECRET,
        "ZALO_OA_SECRET": OA_SECRET, "ZALO_OAUTH_BASE_URL": zalo.url, "ZALO_BASE_URL": zalo.url,
        "PUBLIC_BASE_URL": PUBLIC,
    }  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load_settings()


class Terminal:
    """Runs the command as a pipe does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        self._monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = main(["zalo", *arguments])
        out, err = self._capsys.readouterr()
        return code, out, err


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(monkeypatch, capsys)


def _refused(result: tuple[int, str, str], told: str, database: Database) -> None:
    code, out, err = result
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert told in err
    assert "Đã lưu" not in out
    with database.read() as session:
        assert session.exec(select(ChannelToken)).all() == []


def test_consent_then_the_callback_address(
    office: Settings, zalo: ZaloStandIn, sqlite_database: Database, run: Terminal
) -> None:
    zalo.codes["code-of-the-consent"] = pkce_verifier(office)
    code, out, err = run("login", stdin=f"{PUBLIC}/webhooks/zalo-oa?oa_id=388&code=code-of-the-consent\n")
    assert (code, err) == (0, "")
    link = next(line.strip() for line in out.splitlines() if "/v4/oa/permission" in line)
    assert parse_qs(urlsplit(link).query) == {
        "app_id": [APP_ID], "redirect_uri": [f"{PUBLIC}/webhooks/zalo-oa"],
        "code_challenge": [pkce_challenge(pkce_verifier(office))],
    }  # fmt: skip
    token = stored(office, sqlite_database)
    assert token is not None
    assert token.access.startswith("access-0001")
    assert "access-" not in out


def test_the_bare_code_will_do(office: Settings, zalo: ZaloStandIn, run: Terminal) -> None:
    zalo.codes["code-of-the-consent"] = pkce_verifier(office)
    assert run("login", stdin=" code-of-the-consent \r\n")[0] == 0


def test_the_challenge_is_the_same_at_each_login(office: Settings) -> None:
    """It is saved in Zalo's console, once. RFC 7636, appendix B, holds for our arithmetic."""
    assert pkce_verifier(office) == pkce_verifier(load_settings())
    assert len(pkce_verifier(office)) == 43
    rfc = pkce_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert rfc == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.parametrize("stdin", ["", "\n", f"{PUBLIC}/?error=denied\n", "hai từ\n", "http://[::1\n", "x" * 3000])
def test_what_is_no_code_is_refused_without_asking_zalo(
    office: Settings, zalo: ZaloStandIn, sqlite_database: Database, run: Terminal, stdin: str
) -> None:
    _refused(run("login", stdin=stdin), "code", sqlite_database)
    assert zalo.refreshes == 0


def test_a_used_code_is_refused(office: Settings, zalo: ZaloStandIn, sqlite_database: Database, run: Terminal) -> None:
    _refused(run("login", stdin="code-used-before\n"), "-14005", sqlite_database)


def test_without_a_public_address_there_is_no_callback(
    office: Settings, sqlite_database: Database, run: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PUBLIC_BASE_URL")
    _refused(run("login", stdin="code-of-the-consent\n"), "PUBLIC_BASE_URL", sqlite_database)


def test_a_pasted_pair_is_tried_and_changed_at_once(
    office: Settings, zalo: ZaloStandIn, sqlite_database: Database, run: Terminal
) -> None:
    access, refresh = zalo.mint()
    code, out, err = run("login", "--import", stdin=f"{access}\n{refresh}\n")
    assert (code, err) == (0, "")
    assert access not in out
    token = stored(office, sqlite_database)
    assert token is not None
    assert token.access != access, "the pasted pair is known to the browser it came from"


@pytest.mark.parametrize("swapped", [True, False])
def test_a_pair_that_is_swapped_or_half_there_is_refused_and_stays_good(
    office: Settings, zalo: ZaloStandIn, sqlite_database: Database, run: Terminal, *, swapped: bool
) -> None:
    access, refresh = zalo.mint()
    lines = f"{refresh}\n{access}\n" if swapped else f"{access}\n"
    _refused(run("login", "--import", stdin=lines), "dòng 1" if swapped else "dòng 2", sqlite_database)
    assert zalo.refreshes == 0
    assert run("login", "--import", stdin=f"{access}\n{refresh}\n")[0] == 0


def test_a_used_refresh_token_is_refused(
    office: Settings, zalo: ZaloStandIn, sqlite_database: Database, run: Terminal
) -> None:
    access, _ = zalo.mint()
    _refused(run("login", "--import", stdin=f"{access}\n{'old-refresh-' * 4}\n"), "-14014", sqlite_database)


def test_zalo_out_of_reach_is_no_fault_of_the_input(
    office: Settings, zalo: ZaloStandIn, sqlite_database: Database, run: Terminal
) -> None:
    zalo.oauth_plan.append("lost")
    code, _, err = run("login", stdin="code-of-the-consent\n")
    assert (code, len(err.strip().splitlines())) == (1, 1)
    assert "thử lại" in err


def test_an_office_without_an_account_is_told_which_settings(
    office: Settings, run: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ZALO_APP_ID", "ZALO_APP_SECRET", "ZALO_OA_SECRET"):
        monkeypatch.delenv(name)
    for action in (("login",), ("login", "--import"), ("status",)):
        code, _, err = run(*action)
        assert code == 2
        assert "ZALO_APP_ID" in err


def test_secrets_are_not_taken_from_the_command_line(office: Settings, run: Terminal) -> None:
    assert run("login", "code-of-the-consent")[0] == 2


def test_status_before_and_after_the_login(office: Settings, zalo: ZaloStandIn, run: Terminal) -> None:
    code, out, _ = run("status")
    assert code == 0
    assert "motcua zalo login" in out
    access, refresh = zalo.mint()
    run("login", "--import", stdin=f"{access}\n{refresh}\n")
    code, out, _ = run("status")
    assert code == 0
    assert "Một Cửa thử nghiệm, gọi được" in out
    assert "Vướng mắc    không" in out
    zalo.account_error = -221
    assert "chưa được xác thực" in run("status")[1]


OWN = "388613280878800002"


@pytest.fixture
def province(office: Settings, zalo: ZaloStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[ZaloStandIn]:
    """Two offices, one with an account of its own under the same application."""
    monkeypatch.setenv("MOTCUA_OFFICES", "chau-thanh,dong-phuoc")
    monkeypatch.setenv("ZALO_OA_ID_DONG_PHUOC", OWN)
    with ZaloStandIn() as own:
        own.oa_id = OWN
        zalo.beside.append(own)
        yield own


def test_an_offices_own_account_is_logged_in_beside_the_shared_one(
    office: Settings, zalo: ZaloStandIn, province: ZaloStandIn, sqlite_database: Database, run: Terminal
) -> None:
    for account, arguments in ((zalo, ()), (province, ("--office", "dong-phuoc"))):
        account.codes["code-of-the-consent"] = pkce_verifier(office)
        code, out, err = run("login", *arguments, stdin="code-of-the-consent\n")
        assert (code, err) == (0, "")
    with sqlite_database.read() as session:
        accounts = sorted(row.account for row in session.exec(select(ChannelToken)))
    assert accounts == [APP_ID, f"{APP_ID}/{OWN}"]
    code, out, _ = run("status")
    assert code == 0
    assert out.count("gọi được") == 2
    assert f"OA riêng     dong-phuoc, {OWN}" in out


def test_the_consent_of_another_account_than_the_offices_is_not_stored(
    office: Settings, zalo: ZaloStandIn, province: ZaloStandIn, sqlite_database: Database, run: Terminal
) -> None:
    zalo.codes["code-of-the-consent"] = pkce_verifier(office)
    result = run("login", "--office", "dong-phuoc", stdin="code-of-the-consent\n")
    _refused(result, f"không phải {OWN}", sqlite_database)


def test_an_office_without_an_account_of_its_own_cannot_log_in(
    office: Settings, province: ZaloStandIn, sqlite_database: Database, run: Terminal
) -> None:
    _refused(run("login", "--office", "chau-thanh"), "ZALO_OA_ID_CHAU_THANH", sqlite_database)
