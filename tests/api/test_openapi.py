"""The OpenAPI document against the service itself: what it allows, and what it forbids, is answered as it says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.service_process import ServiceProcess

pytestmark = pytest.mark.service

CODE = "H30.99.01-261116-0001"
KEY = "khoa-thu-nghiem-dai-24-ky-tu"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
FEW = settings(
    max_examples=80, deadline=None, database=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)  # fmt: skip


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """An office with its API switched on."""
    with ServiceProcess(tmp_path_factory.mktemp("openapi"), MOTCUA_API_KEY=KEY, MOTCUA_DEMO="0") as running:
        yield running
        assert "Traceback" not in running.log()
        assert "ERROR" not in running.log()


@pytest.mark.parametrize("key", [None, KEY], ids=["without a key", "with the key"])
def test_every_request_is_answered_as_documented(service: ServiceProcess, key: str | None) -> None:
    document = schemathesis.openapi.from_url(f"{service.url}/api/openapi.json")
    operations = [found.ok() for found in document.get_all_operations()]
    assert {operation.label for operation in operations} >= {"PUT /api/dossiers/{code}", "GET /ready"}
    with requests.Session() as session:
        if key:
            session.headers["authorization"] = f"Bearer {key}"
        for operation in operations:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                answered = _statuses(operation.as_strategy(generation_mode=mode), session)
                # Else nothing behind the key was tried at all.
                if key and operation.method == "put" and mode is GenerationMode.POSITIVE:
                    assert answered >= {201, 422}, answered


def _statuses(cases: st.SearchStrategy[Any], session: requests.Session) -> set[int]:
    """Asks for each case; every answer must be as documented."""
    answered = set()

    @FEW
    @given(cases, st.booleans())
    def ask(case: Any, of_a_dossier: bool) -> None:
        if of_a_dossier and "code" in case.path_parameters:
            case.path_parameters["code"] = CODE  # hardly ever drawn
        answered.add(case.call_and_validate(checks=CHECKS, session=session).status_code)

    with suppress(Unsatisfiable):  # an operation that takes nothing cannot be asked wrongly
        ask()
    return answered
