from __future__ import annotations

import pytest

from echowarp.crypto.schedule import SessionKeys
from echowarp.errors import ProtocolError
from echowarp.session.exchange import ClientExchange, ServerExchange
from echowarp.wire import handshake as frames
from tests.crypto.known import CPACE, PROTOCOL, case_name, unhex
from tests.virtual import handshake_script, scripted_bytes, seeded_bytes

GREETING = frames.pack_greeting(
    frames.Greeting(version_min=1, version_max=1, nonce=bytes(range(16)))
)
LOW_ORDER = [
    bytes.fromhex(point["u"]) for point in CPACE["scalar_mult_vfy"]["points"] if point["abort"]
]


def ends(prs: bytes) -> tuple[ServerExchange, ClientExchange]:
    server = ServerExchange(prs=prs, greeting=GREETING, random_bytes=seeded_bytes(1))
    client = ClientExchange(prs=prs, greeting=GREETING, random_bytes=seeded_bytes(2))
    return server, client


@pytest.mark.parametrize("case", PROTOCOL, ids=case_name)
def test_known_answers(case: dict[str, str]) -> None:
    prs, client_nonce, ya, yb = unhex(case, "PRS", "Nc", "ya", "yb")
    frame1, frame2, frame3, ta, tb = unhex(case, "frame1", "frame2", "frame3", "Ta", "Tb")
    server_random = scripted_bytes(b"\x05" * 32, b"\x00", b"\x06" * 32, yb)
    server = ServerExchange(prs=prs, greeting=frame1, random_bytes=server_random)
    client = ClientExchange(
        prs=prs, greeting=frame1, random_bytes=handshake_script(client_nonce, ya)
    )
    assert client.hello == frame2
    assert server.reply(client.hello) == frame3
    assert client.confirm(frame3) == b"\x00\x21\x04" + ta
    assert server.confirmed(b"\x00\x21\x04" + ta)
    assert server.accept() == b"\x00\x21\x05" + tb
    assert client.accepted(server.accept())
    expected = SessionKeys(
        control_client=bytes.fromhex(case["control_client"]),
        control_server=bytes.fromhex(case["control_server"]),
        udp_client=bytes.fromhex(case["udp_client"]),
        audio_hmac=bytes.fromhex(case["audio_hmac"]),
        audio_gcm=bytes.fromhex(case["audio_gcm"]),
        session=bytes.fromhex(case["session"]),
    )
    assert server.keys() == client.keys() == expected


def test_another_password_confirms_nothing() -> None:
    server, _ = ends(b"right")
    _, client = ends(b"wrong")
    confirm = client.confirm(server.reply(client.hello))
    assert not server.confirmed(confirm)
    assert not client.accepted(server.accept())
    assert server.keys() != client.keys()


def test_the_ends_do_not_confirm_with_each_others_tag() -> None:
    server, client = ends(b"right")
    confirm = client.confirm(server.reply(client.hello))
    assert not client.accepted(confirm)
    assert not server.confirmed(server.accept())


@pytest.mark.parametrize("public", LOW_ORDER, ids=lambda public: public[:4].hex())
def test_a_share_of_low_order_is_refused_by_both(public: bytes) -> None:
    server, client = ends(b"right")
    hello = frames.pack_hello(frames.Hello(version=1, nonce=bytes(16), public=public))
    with pytest.raises(ProtocolError):
        server.reply(hello)
    with pytest.raises(ProtocolError):
        client.confirm(frames.pack_reply(public))


def test_each_connection_has_its_own_share() -> None:
    random_bytes = seeded_bytes(1)
    shares = {
        ClientExchange(prs=b"right", greeting=GREETING, random_bytes=random_bytes).hello
        for _ in range(20)
    }
    assert len(shares) == 20
