from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from gateway_scene import NOW, PARCEL, Tokens, changed, to_user, with_zalo
from standins.zalo_template import TEMPLATE, TOKEN, USER, ZaloTemplateStandIn

from bot.notices.gateways.base import Parcel, PermanentError, TemporaryError, UncertainError
from bot.notices.gateways.zalo_template import CODES, ZaloTemplate
from bot.settings import Settings

OFFICE, CODE = "TTPVHCC xã Châu Thành", "H30.99.01-261116-0001"
BY_NAME = {"zbs_phone": PARCEL, "zbs_uid": to_user()}


def _gateway(settings: Settings, name: str = "zbs_phone", token: Tokens | None = None) -> ZaloTemplate:
    return ZaloTemplate(settings, name, token or Tokens(), lambda: NOW)


async def test_by_phone_the_wire(zalo_settings: Settings, zalo: ZaloTemplateStandIn) -> None:
    sent = await _gateway(zalo_settings).send(PARCEL)
    assert zalo.messages == [
        {
            "phone": "84951234567",
            "template_id": TEMPLATE,
            "template_data": {"office": OFFICE, "code": CODE},
            "tracking_id": PARCEL.reference,
        }
    ]
    assert sent.provider_id
    assert sent.status == "accepted"


async def test_by_user_the_wire(zalo_settings: Settings, zalo: ZaloTemplateStandIn) -> None:
    sent = await _gateway(zalo_settings, "zbs_uid").send(to_user())
    # tracking_id is not taken here.
    assert zalo.messages == [
        {"user_id": USER, "template_id": TEMPLATE, "template_data": {"office": OFFICE, "code": CODE}}
    ]
    assert sent.provider_id


def test_each_channel_has_its_own_address(settings: Settings) -> None:
    settings = changed(with_zalo(settings, "https://oa.example"), zalo_business_base_url="https://business.example")
    assert _gateway(settings)._request(PARCEL)[0] == "https://business.example/message/template"
    assert _gateway(settings, "zbs_uid")._request(to_user())[0] == "https://oa.example/v3.0/oa/message/template"


async def test_an_answer_without_an_id_is_taken_all_the_same(
    zalo_settings: Settings, zalo: ZaloTemplateStandIn
) -> None:
    zalo.next_is("numberless")
    sent = await _gateway(zalo_settings).send(PARCEL)
    assert (sent.provider_id, sent.status) == (None, "accepted")


@pytest.mark.parametrize("name", ["zbs_phone", "zbs_uid"])
async def test_a_token_that_is_refused_is_changed_once(
    zalo_settings: Settings, zalo: ZaloTemplateStandIn, name: str
) -> None:
    tokens = Tokens(["old", TOKEN])
    assert (await _gateway(zalo_settings, name, tokens).send(BY_NAME[name])).provider_id
    assert tokens.asked == [False, True]
    assert len(zalo.messages) == 1


@pytest.mark.parametrize("code", [-124, -216, -220])
async def test_a_token_that_is_refused_twice_is_for_staff_to_mend(
    zalo_settings: Settings, zalo: ZaloTemplateStandIn, code: int
) -> None:
    zalo.refuse(code, code)
    tokens = Tokens()
    with pytest.raises(PermanentError, match=f"mã {code}") as caught:
        await _gateway(zalo_settings, token=tokens).send(PARCEL)
    assert caught.value.kind == "account"
    assert tokens.asked == [False, True]
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("code", sorted(set(CODES) - {-124, -216, -220}))
async def test_every_code_of_the_table(zalo_settings: Settings, zalo: ZaloTemplateStandIn, code: int) -> None:
    zalo.refuse(code)
    meaning = CODES[code]
    with pytest.raises(
        (TemporaryError, PermanentError, UncertainError), match=f"{meaning.told} .mã {code}: "
    ) as caught:
        await _gateway(zalo_settings).send(PARCEL)
    kinds = {TemporaryError: "temporary", UncertainError: "uncertain"}
    assert kinds.get(type(caught.value), getattr(caught.value, "kind", None)) == meaning.kind
    assert zalo.messages == []


# reference/channels.md §3.
@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        ("number", [-108, -114, -118, -119]),
        ("opted_out", [-139, -140, -141]),
        ("content", [-109, -111, -112, -1121, -1122, -1124, -131]),
        ("account", [-115, -124, -126, -127, -135, -137, -144, -147]),
        ("temporary", [-32, -133]),
    ],
)
def test_the_codes_of_the_reference(kind: str, codes: list[int]) -> None:
    assert {CODES[code].kind for code in codes} == {kind}


async def test_an_unknown_code_is_refused_for_good_and_logged_once(
    zalo_settings: Settings, zalo: ZaloTemplateStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    zalo.refuse(-9876, -9876)
    for _ in range(2):
        with pytest.raises(PermanentError) as caught:
            await _gateway(zalo_settings).send(PARCEL)
        assert caught.value.kind == "content"
    assert len([one for one in caplog.messages if "-9876" in one]) == 1


@pytest.mark.parametrize(
    ("hour", "wait"),
    [(22, timedelta(hours=8)), (23, timedelta(hours=7)), (0, timedelta(hours=6)), (5, timedelta(hours=1))],
)
async def test_at_night_it_waits_until_six(settings: Settings, hour: int, wait: timedelta) -> None:
    now = NOW + timedelta(hours=hour - 9)
    with ZaloTemplateStandIn(clock=lambda: now) as zalo:
        gateway = ZaloTemplate(with_zalo(settings, zalo.url), "zbs_phone", Tokens(), lambda: now)
        with pytest.raises(TemporaryError) as caught:
            await gateway.send(PARCEL)
        assert caught.value.delay == wait
        assert zalo.messages == []


async def test_too_fast_waits_a_minute(zalo_settings: Settings, zalo: ZaloTemplateStandIn) -> None:
    zalo.refuse(-32)
    with pytest.raises(TemporaryError) as caught:
        await _gateway(zalo_settings).send(PARCEL)
    assert caught.value.delay == timedelta(minutes=1)


async def test_a_phone_without_zalo_is_told(zalo_settings: Settings, zalo: ZaloTemplateStandIn) -> None:
    zalo.strangers.add("84951234567")
    with pytest.raises(PermanentError) as caught:
        await _gateway(zalo_settings).send(PARCEL)
    assert caught.value.kind == "number"


@pytest.mark.parametrize(
    ("office", "told"),
    [
        ("Trung tâm  Phục vụ hành chính công\nxã Châu Thành", OFFICE),
        ("TRUNG TÂM PHỤC VỤ HÀNH CHÍNH CÔNG XÃ CHÂU THÀNH", "TTPVHCC XÃ CHÂU THÀNH"),
        ("UBND xã Mỹ Phước Tây thuộc huyện Cai Lậy", "UBND xã Mỹ Phước Tây thuộc"),
        ("Trung ta\u0302m", "Trung tâm"),
    ],
)
async def test_a_long_name_is_cut_at_a_word(
    zalo_settings: Settings, zalo: ZaloTemplateStandIn, office: str, told: str
) -> None:
    await _gateway(zalo_settings).send(replace(PARCEL, fields={"office": office, "code": CODE}))
    assert zalo.messages[0]["template_data"]["office"] == told


@pytest.mark.parametrize(
    "changes",
    [
        {"fields": {"office": OFFICE, "code": "H30.999.999.999.999-261116-0000001"}},  # a code is never cut
        {"fields": {"office": OFFICE, "code": " "}},
        {"template": "survey"},
        {"template": ""},
    ],
)
async def test_what_no_template_can_say_is_refused_before_it_is_sent(
    zalo_settings: Settings, zalo: ZaloTemplateStandIn, changes: dict[str, object]
) -> None:
    tokens = Tokens()
    with pytest.raises(PermanentError) as caught:
        await _gateway(zalo_settings, token=tokens).send(replace(PARCEL, **changes))  # type: ignore[arg-type]
    assert caught.value.kind == "content"
    assert (zalo.posts, tokens.asked) == (0, [])


@pytest.mark.parametrize("answer", [b'{"data": {}}', b'{"error": "no"}', b'{"error": null}', b"{}"])
async def test_an_answer_without_a_code_is_uncertain(
    zalo_settings: Settings, monkeypatch: pytest.MonkeyPatch, zalo: ZaloTemplateStandIn, answer: bytes
) -> None:
    monkeypatch.setattr(zalo, "post", lambda handler, _body: handler.answer(200, answer))
    with pytest.raises(UncertainError):
        await _gateway(zalo_settings).send(PARCEL)


@pytest.mark.parametrize("parcel", BY_NAME.values(), ids=BY_NAME)
async def test_nothing_can_be_asked_about_an_uncertain_send(zalo_settings: Settings, parcel: Parcel) -> None:
    gateway = _gateway(zalo_settings)
    assert await gateway.find(parcel) == []
    assert gateway.found_until(NOW) == NOW
    assert gateway.found_for == timedelta(0)


def test_other_names_are_none(zalo_settings: Settings) -> None:
    with pytest.raises(ValueError, match="zalo_oa"):
        _gateway(zalo_settings, "zalo_oa")
