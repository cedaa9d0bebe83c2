"""The pages of the bank of models, and the promoted model taking over without a restart."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlmodel import select

from bot.clock import utc_now
from bot.conversation.memory import Memory
from bot.conversation.talk import Talk
from bot.dossiers.offline import OfflineDossiers
from bot.review import bank, examples, running
from bot.review.labels import Label
from bot.review.training import Content
from bot.service import Service
from bot.settings import Engine, Settings
from bot.storage.database import Database
from bot.storage.tables import AddedExample, Audit, CandidateModel, Turn
from nlu.cache import ModelCache
from nlu.training_data import Training, load_training
from tests.console.conftest import Visitor

BIRTH = "1.001193"
ODD = "xin cái tờ cho thằng cu mới lọt lòng"
LABEL = Label("ask_procedure", ("documents",), (BIRTH,))


def _teach(database: Database, text: str = ODD) -> int:
    with database.write() as session:
        return examples.add(session, text, LABEL, by="advisor", now=utc_now()).id or 0


def _ready(database: Database, *rows: dict[str, Any], state: str = "ready", **figures: Any) -> int:
    """A model of what was taught, trained elsewhere."""
    with database.write() as session:
        told = {"kinds": list(rows), "compared_with": bank.current(session), "taught": {"total": 0, "right": 0}}
        model = CandidateModel(
            state=state, examples=dict(bank.wanted(session)), figures=told | figures, by="advisor", at=utc_now(),
            alive_at=utc_now(), owner="elsewhere",
        )  # fmt: skip
        session.add(model)
        session.flush()
        return model.id or 0


def _row(**more: Any) -> dict[str, Any]:
    row = {"source": "turns", "kind": "greet", "total": 4, "before": 4, "after": 4, "fixed": 0, "broken": 0}
    return row | more


@pytest.fixture
def _stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model takes over in this process: its training would take seconds."""
    monkeypatch.setattr(running.Models, "_take_over", lambda *_: None)


@pytest.mark.usefixtures("_stay")
def test_promoting_and_going_back_are_told_and_kept(visit: Callable[..., Visitor], sqlite_database: Database) -> None:
    _teach(sqlite_database)
    number = _ready(sqlite_database, _row())
    visitor = visit("advisor")
    page = visitor.get(f"/staff/models/{number}").text
    assert "Đổi sang bản này" in page
    assert "(ít câu)" in page
    done = visitor.submit(f"/staff/models/{number}/promote", seen="")
    assert f"Đã đổi sang bản số {number}" in done.text
    assert "Quay lại bản gốc" in done.text
    stale = visitor.submit("/staff/models/roll-back", seen="")
    assert (stale.status_code, "vừa đổi" in stale.text) == (409, True)
    back = visitor.submit("/staff/models/roll-back", seen=str(number))
    assert "Đã quay lại bản gốc" in back.text
    with sqlite_database.read() as session:
        assert bank.current(session) is None
        actions = [row.action for row in session.exec(select(Audit)) if row.action.startswith("model")]
    assert actions == ["model_promote", "model_roll_back"]


@pytest.mark.usefixtures("_stay")
def test_a_candidate_that_is_worse_says_where_and_is_refused(
    visit: Callable[..., Visitor], sqlite_database: Database
) -> None:
    _teach(sqlite_database)
    number = _ready(sqlite_database, _row(after=3, broken=1))
    visitor = visit("advisor")
    page = visitor.get(f"/staff/models/{number}").text
    assert "chào – câu đã chấm: 4 → 3 trong 4 câu" in page
    assert "Đổi sang bản này" not in page
    refused = visitor.submit(f"/staff/models/{number}/promote", seen="")
    assert (refused.status_code, "Không đổi được" in refused.text) == (409, True)
    with sqlite_database.read() as session:
        assert bank.current(session) is None


@pytest.mark.usefixtures("_stay")
def test_fixed_and_broken_sentences_stand_side_by_side(
    visit: Callable[..., Visitor], sqlite_database: Database
) -> None:
    _teach(sqlite_database)
    with sqlite_database.write() as session:
        turn = Turn(conversation_id=1, text="<b>giấy</b> 0951234567", intent="greet", outcome="answer", at=utc_now())
        session.add(turn)
        session.flush()
        number = turn.id
    wrong = {"intent": "out_of_scope", "aspects": [], "procedures": [], "offered": []}
    right = {"intent": "ask_procedure", "aspects": ["fee"], "procedures": [BIRTH], "offered": []}
    change = {"source": "turns", "kind": "ask_procedure", "wanted": right}
    model = _ready(
        sqlite_database, _row(fixed=1),
        fixed=[{**change, "turn": number, "taught": True, "before": wrong, "after": right}],
        broken=[{**change, "text": "câu của bộ", "taught": False, "before": right, "after": wrong, "source": "dev"}],
    )  # fmt: skip
    page = visit("advisor").get(f"/staff/models/{model}").text
    assert "&lt;b&gt;giấy&lt;/b&gt; ***" in page
    assert "đã dạy" in page
    assert "câu của bộ" in page
    with sqlite_database.write() as session:
        session.get_one(Turn, number).text = ""  # erased or pruned
    assert "nội dung đã xóa" in visit("advisor").get(f"/staff/models/{model}").text


def test_a_training_that_died_is_shown_as_failed(visit: Callable[..., Visitor], sqlite_database: Database) -> None:
    _teach(sqlite_database)
    number = _ready(sqlite_database, state="training")
    with sqlite_database.write() as session:
        session.get_one(CandidateModel, number).alive_at = datetime.fromisoformat("2026-01-01T00:00+00:00")
    visitor = visit("advisor")
    for _ in range(200):
        page = visitor.get(f"/staff/models/{number}").text
        if "bị ngắt giữa chừng" in page:
            break
    assert "dựng hỏng" in page


def test_begin_says_what_is_missing(visit: Callable[..., Visitor]) -> None:
    answer = visit("advisor").submit("/staff/models")
    assert answer.status_code == 409
    assert "Chưa có ví dụ hay tên nào mới" in answer.text


def test_examples_are_listed_withdrawn_exported_and_imported(
    visit: Callable[..., Visitor], sqlite_database: Database
) -> None:
    number = _teach(sqlite_database)
    visitor = visit("advisor")
    assert ODD in visitor.get("/staff/models/examples").text
    file = visitor.get("/staff/models/examples.yml")
    assert f"ask_procedure+documents/{BIRTH}" in file.text
    assert "attachment" in file.headers["content-disposition"]
    assert "đã rút" in visitor.submit(f"/staff/models/examples/{number}/withdraw").text
    assert visitor.submit(f"/staff/models/examples/{number}/withdraw").status_code == 409
    files = {"file": ("can-bo.yml", io.BytesIO(file.content), "application/yaml")}
    answer = visitor.post("/staff/models/examples", data={"csrf": visitor.csrf}, files=files)
    assert "Đã thêm 1 câu" in answer.text
    for content in (b"", b"\xff\xfe", b"x" * 70_000):
        files = {"file": ("x.yml", io.BytesIO(content), "application/yaml")}
        assert visitor.post("/staff/models/examples", data={"csrf": visitor.csrf}, files=files).status_code == 409
    with sqlite_database.read() as session:
        assert [row.withdrawn_at is None for row in session.exec(select(AddedExample))] == [False, True]


def test_with_rasa_the_page_says_what_has_to_be_done(
    sqlite_database: Database, office_settings: Settings, service: Service, visit: Callable[..., Visitor], app: Any
) -> None:
    from bot.api.app import create_app  # noqa: PLC0415
    from tests.console.conftest import Visitor as Browser  # noqa: PLC0415

    rasa = office_settings.model_copy(update={"nlu_engine": Engine.RASA})
    visitor = Browser(create_app(rasa, sqlite_database, service), base_url="http://127.0.0.1").sign_in("advisor")
    _teach(sqlite_database)
    page = visitor.get("/staff/models").text
    assert "make rasa" in page
    assert "Dựng bản mới</button>" not in page
    assert visitor.submit("/staff/models").status_code == 409
    assert ODD in visitor.get("/staff/models/examples.yml?names=1").text


def test_the_promoted_model_takes_over_while_a_turn_under_way_keeps_the_old(
    sqlite_database: Database, office_settings: Settings, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Training(load_training().examples[::20], load_training().patterns)
    monkeypatch.setattr(running, "load_training", lambda: small)
    service = Service(office_settings, sqlite_database, talk)
    keeper = running.Models(office_settings, sqlite_database, service, utc_now, "me")
    _teach(sqlite_database)
    number = _ready(sqlite_database)
    with sqlite_database.write() as session:
        content = bank.content_of(session, number)
        bank.promote(session, number, by="lan", seen=None, at_most_points=1, now=utc_now())
    folder = office_settings.var_dir / "models" / f"bank-{number}"
    entries = talk.desk(utc_now()).catalog.entries()
    content.engine(entries, small, ModelCache(folder))  # kept already, as on the replica that trained it

    def say(with_talk: Talk) -> Any:
        now = utc_now()
        return with_talk.turn(ODD, Memory(), now, OfflineDossiers(lambda _code: None, talk.desk(now)))

    under_way = service.talk
    keeper.look()
    after = say(service.talk)
    assert (after.outcome, after.procedures, after.evidence["model"]) == ("answer", (BIRTH,), number)
    assert say(under_way).evidence["model"] is None
    before = service.talk
    keeper.look()
    assert service.talk is before  # nothing to do
    monkeypatch.setattr(running.Models, "_engine", lambda *_: talk.engine)
    with sqlite_database.write() as session:
        bank.roll_back(session, by="lan", seen=number, now=utc_now())
    keeper.look()
    assert service.talk.model is None
    assert service.talk.engine is talk.engine


def test_a_training_that_breaks_is_told(
    sqlite_database: Database, office_settings: Settings, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = "import sys; sys.stdin.read(); print('{\"progress\": \"1/2\"}', flush=True); sys.exit('hết bộ nhớ')"
    monkeypatch.setattr(running, "_command", lambda _nice: [running.sys.executable, "-c", broken])
    service = Service(office_settings, sqlite_database, talk)
    keeper = running.Models(office_settings, sqlite_database, service, utc_now, "me")
    _teach(sqlite_database)
    with sqlite_database.write() as session:
        number = bank.begin(session, "lan", utc_now()).id
    keeper.look()
    child = keeper._child
    assert child is not None
    child._thread.join(30)
    with sqlite_database.read() as session:
        model = session.get_one(CandidateModel, number)
    assert (model.state, model.error) == ("failed", "Không dựng được: hết bộ nhớ")


def test_stopping_the_service_ends_a_training_and_says_so(
    sqlite_database: Database, office_settings: Settings, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = "import sys, time; sys.stdin.read(); time.sleep(600)"
    monkeypatch.setattr(running, "_command", lambda _nice: [running.sys.executable, "-c", endless])
    keeper = running.Models(
        office_settings, sqlite_database, Service(office_settings, sqlite_database, talk), utc_now, "me"
    )
    _teach(sqlite_database)
    with sqlite_database.write() as session:
        number = bank.begin(session, "lan", utc_now()).id
    keeper.look()
    keeper.stop()
    child = keeper._child
    assert child is not None
    assert child._process.poll() is not None
    with sqlite_database.read() as session:
        model = session.get_one(CandidateModel, number)
    assert model.state == "failed"
    assert "Dịch vụ dừng" in (model.error or "")
    assert re.search("dựng lại", model.error or "")
    assert Content() == Content((), ())
