from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.errors import ProtocolError
from echowarp.wire import handshake
from echowarp.wire.buffer import StreamBuffer
from echowarp.wire.handshake import FrameType, Greeting, Hello

NONCE = bytes(range(16))
PUBLIC = bytes(range(0x40, 0x60))

GREETING = bytes.fromhex("0017 01 45575250 01 01 000102030405060708090a0b0c0d0e0f")
HELLO = bytes.fromhex(
    "0032 02 01 000102030405060708090a0b0c0d0e0f"
    "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f"
)
REPLY = bytes.fromhex("0021 03") + PUBLIC
CONFIRM = bytes.fromhex("0021 04") + PUBLIC
ACCEPT = bytes.fromhex("0021 05") + PUBLIC
ERROR = bytes.fromhex("0003 0f 01f7")
GOLDEN = {
    FrameType.GREETING: GREETING,
    FrameType.HELLO: HELLO,
    FrameType.REPLY: REPLY,
    FrameType.CONFIRM: CONFIRM,
    FrameType.ACCEPT: ACCEPT,
    FrameType.ERROR: ERROR,
}


def test_golden_frames_packed() -> None:
    greeting = Greeting(version_min=1, version_max=1, nonce=NONCE)
    assert handshake.pack_greeting(greeting) == GREETING
    assert handshake.pack_hello(Hello(version=1, nonce=NONCE, public=PUBLIC)) == HELLO
    assert handshake.pack_reply(PUBLIC) == REPLY
    assert handshake.pack_confirm(PUBLIC) == CONFIRM
    assert handshake.pack_accept(PUBLIC) == ACCEPT
    assert handshake.pack_error(503) == ERROR


def test_golden_frames_parsed() -> None:
    assert handshake.parse_greeting(GREETING) == Greeting(version_min=1, version_max=1, nonce=NONCE)
    assert handshake.parse_hello(HELLO) == Hello(version=1, nonce=NONCE, public=PUBLIC)
    assert handshake.parse_error(ERROR) == 503
    assert handshake.frame_body(CONFIRM) == PUBLIC


@pytest.mark.parametrize("kind", FrameType)
def test_len_counts_type_and_body(kind: FrameType) -> None:
    frame = GOLDEN[kind]
    assert int.from_bytes(frame[:2], "big") == len(frame) - 2 == handshake.FRAME_LEN[kind]
    assert handshake.frame_type(frame) is kind


@pytest.mark.parametrize(
    ("pack", "body"),
    [
        (handshake.pack_reply, bytes(31)),
        (handshake.pack_confirm, bytes(33)),
        (handshake.pack_accept, b""),
    ],
)
def test_a_body_of_the_wrong_length_is_our_own_bug(pack: object, body: bytes) -> None:
    assert callable(pack)
    with pytest.raises(AssertionError):
        pack(body)


@pytest.mark.parametrize(("low", "high"), [(0, 0), (0, 255), (1, 3), (7, 7)])
def test_a_greeting_carries_its_range(low: int, high: int) -> None:
    greeting = Greeting(version_min=low, version_max=high, nonce=NONCE)
    assert handshake.parse_greeting(handshake.pack_greeting(greeting)) == greeting


def test_a_greeting_with_an_empty_range_is_refused() -> None:
    frame = bytearray(GREETING)
    frame[7], frame[8] = 2, 1
    with pytest.raises(ProtocolError):
        handshake.parse_greeting(bytes(frame))


@pytest.mark.parametrize("bit", range(32))
def test_a_greeting_with_any_bit_of_the_magic_flipped_is_refused(bit: int) -> None:
    frame = bytearray(GREETING)
    frame[3 + bit // 8] ^= 1 << bit % 8
    with pytest.raises(ProtocolError):
        handshake.parse_greeting(bytes(frame))


@given(body=st.binary(min_size=22, max_size=22))
def test_any_greeting_parses_or_is_a_protocol_error(body: bytes) -> None:
    frame = b"\x00\x17\x01" + body
    try:
        greeting = handshake.parse_greeting(frame)
    except ProtocolError:
        return
    assert handshake.pack_greeting(greeting) == frame


@given(body=st.binary(min_size=49, max_size=49))
def test_any_hello_parses_and_packs_back(body: bytes) -> None:
    frame = b"\x00\x32\x02" + body
    assert handshake.pack_hello(handshake.parse_hello(frame)) == frame


@pytest.mark.parametrize("kind", FrameType)
@pytest.mark.parametrize("bit", range(24))
def test_a_flipped_bit_in_length_or_type_is_refused_at_once(kind: FrameType, bit: int) -> None:
    frame = bytearray(GOLDEN[kind])
    frame[bit // 8] ^= 1 << bit % 8
    buffer = StreamBuffer()
    buffer.feed(bytes(frame[:3]))
    with pytest.raises(ProtocolError):
        buffer.take_frame(kind)
