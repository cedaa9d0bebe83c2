"""What stands in deploy/ and docs/ fits the program: settings, metrics, packages, commands, links."""

from __future__ import annotations

import re
import sys
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.api.background import ENDING_SECONDS
from bot.cli import COMMANDS
from bot.commands.serve import REQUESTS_END_SECONDS
from bot.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
GRACE = 25  # seconds until a manager kills what it asked to stop


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yml").read_text("utf-8"))
    return loaded


def test_no_note_stands_behind_a_value() -> None:
    """systemd would take it for a part of the value."""
    text = (DEPLOY / "motcua.env.example").read_text("utf-8")
    assert re.findall(r"^# [A-Z_]+=.* #.*$", text, re.MULTILINE) == []


def test_containers_are_closed(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
    for name in ("app", "migrate", "rasa"):
        assert service_user(compose, name) != "0"
    assert [name for name, service in compose["services"].items() if "ports" in service] == ["proxy"]


def service_user(compose: dict[str, Any], name: str) -> str:
    return str(compose["services"][name]["user"]).split(":", maxsplit=1)[0]


def test_replicas_start_after_the_upgrade_and_end_in_peace(compose: dict[str, Any]) -> None:
    app = compose["services"]["app"]
    assert app["deploy"]["replicas"] >= 2
    assert app["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert app["stop_grace_period"] == f"{GRACE}s"
    assert ENDING_SECONDS + REQUESTS_END_SECONDS <= 20 < GRACE


def test_compose_sets_only_settings_that_there_are(compose: dict[str, Any]) -> None:
    known = {str(field.validation_alias) for field in Settings.model_fields.values()}
    assert set(compose["services"]["app"]["environment"]) <= known
    image = (DEPLOY / "Dockerfile").read_text("utf-8")
    assert set(re.findall(r"\b(MOTCUA_\w+)=", image)) <= known


def test_the_image_holds_what_the_program_reads() -> None:
    image = (DEPLOY / "Dockerfile").read_text("utf-8")
    assert all(f"COPY {name} {name}\n" in image for name in ("bot", "nlu", "procedures_data"))
    server = re.search(r"postgres:(\d+)", (DEPLOY / "compose.yml").read_text("utf-8"))
    tools = re.search(r"postgresql-client-(\d+)", image)
    assert server
    assert tools
    assert server[1] == tools[1]


def test_the_unit_is_closed_and_leaves_time_to_end() -> None:
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "motcua.service", "utf-8")
    service = unit["Service"]
    assert service["User"] == "motcua"
    assert int(service["TimeoutStopSec"]) == GRACE
    wanted = {"ProtectSystem": "strict", "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "PrivateDevices": "yes"}
    assert {name: service[name] for name in wanted} == wanted


def test_alerts_watch_metrics_that_there_are() -> None:
    source = "\n".join(path.read_text("utf-8") for part in ("bot", "nlu") for path in (ROOT / part).rglob("*.py"))
    made = set(re.findall(r'"(motcua_\w+)"', source))
    rules = yaml.safe_load((DEPLOY / "alerts.yml").read_text("utf-8"))["groups"][0]["rules"]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        named = set(re.findall(r"\bmotcua_\w+", rule["expr"]))
        assert {re.sub(r"_(bucket|count|sum)$", "", name) for name in named} <= made, rule["alert"]
        assert named or "up{" in rule["expr"]
        assert {"summary", "action"} <= rule["annotations"].keys()


def test_every_locked_package_has_its_licence_listed() -> None:
    page = (ROOT / "docs" / "licences.md").read_text("utf-8")
    sys.path.insert(0, str(DEPLOY))
    try:
        from licences import locked  # type: ignore[import-not-found]  # noqa: PLC0415
    finally:
        sys.path.pop(0)
    listed = dict(re.findall(r"^\| (\S+) \| .* \| (.+) \|$", page, re.MULTILINE))
    assert len(locked()) > 50
    assert [name for name in locked() if name not in listed] == []
    assert [name for name, licence in listed.items() if licence == "không ghi"] == []


PAGES = [ROOT / "README.md", ROOT / "README.vi.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_pages_name_files_and_commands_that_there_are(page: Path) -> None:
    text = page.read_text("utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []
    commands = set(re.findall(r"`(?:\.venv/bin/)?motcua ([a-z]+)", text)) | set(
        re.findall(r"^(?:\.venv/bin/|sudo )?motcua ([a-z]+)", text, re.MULTILINE)
    )
    assert commands <= COMMANDS.keys()
