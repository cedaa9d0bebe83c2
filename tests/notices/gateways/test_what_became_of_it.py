"""Whatever happens on the way, each gateway tells honestly: surely not sent, refused, sent, or nobody knows."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from gateway_scene import NOW, PARCEL, Tokens, to_user, with_esms, with_zalo
from notice_scene import with_twilio
from standins.esms import EsmsStandIn
from standins.server import StandIn
from standins.twilio import TwilioStandIn
from standins.zalo_template import ZaloTemplateStandIn

from bot.notices.gateways import gateway_for
from bot.notices.gateways.base import Gateway, Parcel, PermanentError, Sent, TemporaryError, UncertainError
from bot.settings import Settings

NAMES = ("twilio", "esms", "zbs_uid", "zbs_phone")


@dataclass
class Way:
    """One gateway, its stand-in and what it is given to send."""

    name: str
    settings: Settings
    stand_in: StandIn
    parcel: Parcel

    def gateway(self, url: str | None = None) -> Gateway:
        where = url or self.stand_in.url
        if self.name == "twilio":
            return gateway_for(with_twilio(self.settings, where), "sms", demo=False)
        if self.name == "esms":
            return gateway_for(with_esms(self.settings, where), "sms", demo=False)
        return gateway_for(with_zalo(self.settings, where), self.name, demo=False, token=Tokens(), clock=lambda: NOW)

    @property
    def taken(self) -> int:
        return len(self.stand_in.messages)  # type: ignore[attr-defined]


@pytest.fixture(params=NAMES)
def way(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Way]:
    stand_in = {"twilio": TwilioStandIn, "esms": EsmsStandIn}.get(request.param, ZaloTemplateStandIn)
    with stand_in(clock=lambda: NOW) as running:
        yield Way(request.param, settings, running, to_user() if request.param == "zbs_uid" else PARCEL)


async def test_what_is_taken_is_sent(way: Way) -> None:
    gateway = way.gateway()
    assert gateway.name == way.name
    sent = await gateway.send(way.parcel)
    assert isinstance(sent, Sent)
    assert sent.provider_id
    assert (way.taken, way.stand_in.posts) == (1, 1)
    await gateway.close()


@pytest.mark.parametrize(
    ("trouble", "taken"),
    [
        ("lose", 0), ("drop", 1), ("reset", 0), ("reset taken", 1), ("500", 0), ("502", 0), ("503", 0), ("408", 0),
        ("500 taken", 1), ("garbled", 1), ("list", 1), ("empty", 1),
    ],
)  # fmt: skip
async def test_a_request_that_left_and_was_not_answered_is_uncertain(way: Way, trouble: str, taken: int) -> None:
    way.stand_in.next_is(trouble)
    with pytest.raises(UncertainError):
        await way.gateway().send(way.parcel)
    assert (way.taken, way.stand_in.posts) == (taken, 1)  # never sent twice by itself


@pytest.mark.usefixtures("impatient")
async def test_an_answer_that_does_not_begin_is_uncertain(way: Way) -> None:
    way.stand_in.next_is("hang")
    with pytest.raises(UncertainError):
        await way.gateway().send(way.parcel)
    assert way.stand_in.taken.wait(5)
    assert (way.taken, way.stand_in.posts) == (1, 1)


@pytest.mark.parametrize("way", ["twilio", "esms"], indirect=True)
@pytest.mark.usefixtures("impatient")
async def test_an_answer_that_does_not_end_is_uncertain(way: Way) -> None:
    way.stand_in.next_is("slow")
    with pytest.raises(UncertainError):
        await way.gateway().send(way.parcel)
    assert way.stand_in.taken.wait(5)
    assert (way.taken, way.stand_in.posts) == (1, 1)


async def test_too_many_requests_are_told_with_the_pause_asked_for(way: Way) -> None:
    way.stand_in.next_is("busy")
    with pytest.raises(TemporaryError) as caught:
        await way.gateway().send(way.parcel)
    assert caught.value.delay == dt.timedelta(seconds=7)
    assert way.taken == 0


@pytest.mark.parametrize("trouble", ["moved", "forbidden"])
async def test_a_server_that_does_not_let_us_in_is_for_staff_to_mend(way: Way, trouble: str) -> None:
    way.stand_in.next_is(trouble)
    with pytest.raises(PermanentError) as caught:
        await way.gateway().send(way.parcel)
    assert caught.value.kind == "account"


async def test_a_wrong_address_of_the_service_is_for_staff_to_mend(way: Way) -> None:
    with pytest.raises(PermanentError) as caught:
        await way.gateway(f"{way.stand_in.url}/elsewhere").send(way.parcel)
    assert caught.value.kind == "account"
    assert way.taken == 0


async def test_nobody_listening_is_temporary(way: Way) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(TemporaryError, match="không kết nối được"):
            await way.gateway(f"http://127.0.0.1:{closed.getsockname()[1]}").send(way.parcel)


async def test_a_name_that_does_not_resolve_is_temporary(way: Way) -> None:
    with pytest.raises(TemporaryError, match="không kết nối được"):
        await way.gateway("http://nowhere.invalid").send(way.parcel)


@pytest.mark.usefixtures("hurried")
async def test_a_connection_that_does_not_come_about_is_temporary(way: Way) -> None:
    # A queue of no length that is full: Linux answers no further SYN.
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        with pytest.raises(TemporaryError, match="không kết nối được"):
            await way.gateway(f"http://127.0.0.1:{full.getsockname()[1]}").send(way.parcel)


async def test_a_certificate_that_is_not_trusted_is_temporary(way: Way, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_self_signed(tmp_path))
    server = way.stand_in._server
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with pytest.raises(TemporaryError, match="không kết nối được"):
        await way.gateway(way.stand_in.url.replace("http://", "https://")).send(way.parcel)
    assert way.stand_in.posts == 0


async def test_a_server_that_does_not_speak_tls_is_temporary(way: Way) -> None:
    with pytest.raises(TemporaryError, match="không kết nối được"):
        await way.gateway(way.stand_in.url.replace("http://", "https://")).send(way.parcel)
    assert way.stand_in.posts == 0


async def test_each_request_has_a_connection_of_its_own(way: Way) -> None:
    gateway = way.gateway()
    for number in range(3):
        await gateway.send(_numbered(way.parcel, number))
    assert (way.taken, way.stand_in.connections) == (3, 3)


async def test_what_staff_read_holds_no_number_and_no_secret(way: Way) -> None:
    way.stand_in.refuse(21211 if way.name == "twilio" else 146 if way.name == "esms" else -112)
    with pytest.raises(PermanentError) as caught:
        await way.gateway().send(way.parcel)
    assert "1234567" not in str(caught.value)
    assert "stand-in" not in str(caught.value)


def _numbered(parcel: Parcel, number: int) -> Parcel:
    return Parcel(
        number, f"mc-{number}", parcel.to, f"{parcel.text} {number}", parcel.valid_for, parcel.since, parcel.template,
        parcel.fields,
    )  # fmt: skip


def _self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2120, 1, 1, tzinfo=dt.UTC))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "self-signed.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
