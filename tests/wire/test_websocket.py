from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.wire.websocket import (
    CLOSE_NS,
    INLINE_BYTES,
    MAX_PONGS,
    BinaryMessage,
    Closed,
    Ponged,
    Role,
    State,
    TextMessage,
    WebSocket,
    WebSocketEvent,
)
from echowarp.wire.websocket_frames import CloseCode
from tests.virtual import S, chunks, seeded_bytes

NOW = 1_000 * S
MOST = 100_000


def server() -> WebSocket:
    return WebSocket(Role.SERVER, max_message_bytes=MOST, now_ns=NOW)


def client() -> WebSocket:
    return WebSocket(Role.CLIENT, max_message_bytes=MOST, random_bytes=seeded_bytes(1), now_ns=NOW)


def sent(end: WebSocket) -> bytes:
    queued = end.queued_bytes
    out = b"".join(bytes(piece) for piece in end.to_send())
    assert len(out) >= queued
    assert end.queued_bytes == 0
    return out


def to(
    end: WebSocket, data: bytes, sizes: tuple[int, ...] | list[int] = ()
) -> list[WebSocketEvent]:
    """What happens when these bytes come in pieces of these sizes."""
    for piece in chunks(data, sizes):
        end.receive(piece, NOW)
    return end.events()


def pair() -> tuple[WebSocket, WebSocket]:
    return server(), client()


SIZES = [0, 1, 125, 126, 127, 128, INLINE_BYTES, 65_535, 65_536, MOST]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("step", [None, 997])
def test_messages_of_any_size_travel_both_ways(size: int, step: int | None) -> None:
    data, text = bytes(n % 251 for n in range(size)), "*" * size
    for here, there in (pair(), pair()[::-1]):
        here.send_binary(data)
        here.send_text(text)
        out = sent(here)
        sizes = [step] * (len(out) // step) if step else []
        assert to(there, out, sizes) == [BinaryMessage(data), TextMessage(text)]


@given(
    st.lists(st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.binary()), max_size=8),
    st.lists(st.integers(1, 30), max_size=60),
)
def test_messages_come_as_they_were_sent(said: list[str | bytes], sizes: list[int]) -> None:
    for here, there in (pair(), pair()[::-1]):
        for each in said:
            if isinstance(each, str):
                here.send_text(each)
            else:
                here.send_binary(each)
        got = [
            event.text if isinstance(event, TextMessage) else event.data
            for event in to(there, sent(here), sizes)
            if isinstance(event, TextMessage | BinaryMessage)
        ]
        assert got == said


def test_a_large_payload_is_not_copied_by_a_server() -> None:
    end, data = server(), bytearray(INLINE_BYTES)
    end.send_binary(data)
    assert any(piece is data for piece in end.to_send())


def test_each_frame_of_a_client_has_a_mask_of_its_own() -> None:
    end = client()
    end.send_binary(bytes(8))
    end.send_binary(bytes(8))
    out = sent(end)
    first, second = out[2:14], out[16:28]
    assert first[:4] * 2 == first[4:]
    assert first != second


# What follows is what the cases of the Autobahn test suite look at, numbered as there.
# A client is spoken to, whose peer sends no masks.


def frame(first: int, payload: bytes = b"") -> bytes:
    assert len(payload) < 126
    return bytes((first, len(payload))) + payload


def fails(data: bytes, code: int, sizes: list[int] | None = None) -> list[WebSocketEvent]:
    """What happened before these bytes end the connection with that code."""
    end = client()
    *before, last = to(end, data, sizes or [])
    assert isinstance(last, Closed)
    assert (last.code, last.clean) == (code, False)
    assert end.closed
    assert close_code(sent(end)) == code
    assert to(end, frame(0x82, b"x")) == []
    return before


def close_code(out: bytes) -> int:
    """The code of the masked Close that is the last of what a client sent."""
    at = 0
    while True:
        head, size = out[at], out[at + 1] & 0x7F
        payload = bytes(b ^ out[at + 2 + n % 4] for n, b in enumerate(out[at + 6 : at + 6 + size]))
        at += 6 + size
        if at == len(out):
            assert head == 0x88
            return int.from_bytes(payload[:2], "big")


def test_2_pings_are_answered_in_order() -> None:
    for step in ([], [1] * 200):
        end = server()
        other = client()
        payloads = [b"", b"Hello", bytes(range(125)), b"\x00\xff", *(b"%d" % n for n in range(10))]
        for payload in payloads:
            other.ping(payload)
        assert to(end, sent(other), step) == []
        assert to(other, sent(end)) == [Ponged(payload) for payload in payloads]


def test_2_5_a_ping_that_is_too_long() -> None:
    fails(b"\x89\x7e\x00\x7e" + bytes(126), 1002)


def test_2_7_pongs_that_nobody_asked_for() -> None:
    assert to(client(), frame(0x8A) + frame(0x8A, b"x")) == [Ponged(b""), Ponged(b"x")]


def test_3_reserved_bits() -> None:
    for first in (0x91, 0xA1, 0xC1, 0xF2, 0xD9, 0xA8):
        for sizes in ([], [1]):
            before = fails(frame(0x81, b"Hello") + frame(first, b"x"), 1002, sizes)
            assert before == [TextMessage("Hello")]


def test_4_reserved_opcodes() -> None:
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        assert fails(frame(0x81, b"a") + frame(0x80 | opcode), 1002) == [TextMessage("a")]


def test_5_1_control_frames_in_fragments() -> None:
    fails(frame(0x09, b"a") + frame(0x80, b"b"), 1002)
    fails(frame(0x0A, b"a") + frame(0x80, b"b"), 1002)
    fails(frame(0x08), 1002)


@pytest.mark.parametrize("sizes", [[], [1] * 40])
def test_5_3_fragments_with_a_ping_between(sizes: list[int]) -> None:
    end = client()
    data = frame(0x01, b"a") + frame(0x89, b"p") + frame(0x00, b"b") + frame(0x8A, b"q")
    assert to(end, data + frame(0x80, b"c"), sizes) == [Ponged(b"q"), TextMessage("abc")]
    assert sent(end)[0] == 0x8A
    data = frame(0x02, b"\xff") + frame(0x00) + frame(0x80, b"\xfe")
    assert to(end, data, sizes) == [BinaryMessage(b"\xff\xfe")]


def test_5_9_continuations_of_nothing() -> None:
    for first in (0x80, 0x00):
        fails(frame(first, b"x") + frame(0x81, b"y"), 1002)
        assert fails(frame(0x81, b"y") + frame(first, b"x"), 1002) == [TextMessage("y")]


def test_5_18_a_message_within_a_message() -> None:
    fails(frame(0x01, b"a") + frame(0x81, b"b"), 1002)
    fails(frame(0x02, b"a") + frame(0x01, b"b"), 1002)


VALID = ["κόσμε", "Hello-µ@ßöäüàá-UTF-8!!", "\ud7ff\ue000\ufffd\U0010ffff", "\x00\x7f\x80", "𝄞" * 9]
INVALID = [
    *("80", "bf", "c0af", "e080af", "f08080af", "c1bf", "f888808080", "fc8480808080", "fe", "ff"),
    *("eda080", "edbfbf", "f4908080", "c3", "e282", "f09d84", "c328", "e28228", "f0288c28"),
]


@pytest.mark.parametrize("text", VALID)
def test_6_text_in_any_pieces(text: str) -> None:
    data = text.encode()
    for at in range(len(data) + 1):
        whole = frame(0x01, data[:at]) + frame(0x80, data[at:])
        assert to(client(), whole) == [TextMessage(text)]
        assert to(client(), frame(0x81, data), [2 + at]) == [TextMessage(text)]
    assert to(client(), frame(0x81, data), [1] * len(data)) == [TextMessage(text)]
    masked = client()
    masked.send_text(text)
    assert to(server(), sent(masked), [1] * (len(data) + 6)) == [TextMessage(text)]


@pytest.mark.parametrize("broken", INVALID)
def test_6_text_that_is_not_utf8(broken: str) -> None:
    data = "κ".encode() + bytes.fromhex(broken)
    fails(frame(0x81, data), 1007)
    fails(frame(0x01, data[:3]) + frame(0x80, data[3:]), 1007)
    fails(frame(0x81, data), 1007, [1] * (len(data) + 1))


def test_6_4_broken_text_is_told_before_the_end_of_its_frame() -> None:
    good, bad = "κόσμε".encode(), b"\xf4\x90"
    end = client()
    assert to(end, frame(0x01, good) + frame(0x00, bad[:1])) == []
    assert [type(event) for event in to(end, frame(0x00, bad[1:]))] == [Closed]
    end = client()
    whole = frame(0x81, good + bad + b"\x80\x80 and so on")
    assert to(end, whole[: 2 + len(good) + 1]) == []
    assert [type(event) for event in to(end, whole[2 + len(good) + 1 : -5])] == [Closed]


def test_7_1_nothing_counts_behind_a_close() -> None:
    end = client()
    data = frame(0x88, b"\x03\xe8bye") + frame(0x81, b"x") + frame(0x89) + b"\xff"
    assert to(end, data) == [Closed(1000, "bye", True)]
    assert close_code(sent(end)) == 1000
    assert end.closed


def test_7_1_a_close_within_a_message() -> None:
    end = client()
    assert to(end, frame(0x01, b"a") + frame(0x88)) == [Closed(CloseCode.NO_STATUS, "", True)]
    out = sent(end)
    assert out[:2] == b"\x88\x80"


def test_7_3_payloads_of_a_close() -> None:
    assert to(client(), frame(0x88)) == [Closed(1005, "", True)]
    fails(frame(0x88, b"\x03"), 1002)
    fails(b"\x88\x7e\x00\x7e" + b"\x03\xe8" + bytes(124), 1002)
    reason = b"x" * 123
    assert to(client(), frame(0x88, b"\x03\xe8" + reason)) == [Closed(1000, reason.decode(), True)]
    fails(frame(0x88, b"\x03\xe8\xff"), 1007)


def test_7_7_codes_that_may_be_sent_are_echoed() -> None:
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1014, 3000, 3999, 4999):
        end = client()
        assert to(end, frame(0x88, code.to_bytes(2, "big"))) == [Closed(code, "", True)]
        assert close_code(sent(end)) == code


def test_7_9_codes_that_may_not_be_sent() -> None:
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535):
        fails(frame(0x88, code.to_bytes(2, "big")), 1002)


@pytest.mark.parametrize("piece", [1, 64, 1_000])
def test_9_large_messages_in_fragments(piece: int) -> None:
    data = bytes(n % 251 for n in range(64_000))
    head = bytes((0x7E,)) + piece.to_bytes(2, "big") if piece > 125 else bytes((piece,))
    stream, at = bytearray(), 0
    while at < len(data):
        first = (0x02 if at == 0 else 0x00) | (0x80 if at + piece >= len(data) else 0)
        stream += bytes((first,)) + head + data[at : at + piece]
        at += piece
    assert to(client(), bytes(stream)) == [BinaryMessage(data)]


# End of the Autobahn cases.


def test_masks_go_one_way_only() -> None:
    here, there = pair()
    here.send_text("x")
    *_, last = to(server(), sent(here))
    assert isinstance(last, Closed)
    assert last.code == 1002
    there.send_text("x")
    *_, last = to(client(), sent(there))
    assert isinstance(last, Closed)
    assert last.code == 1002


def test_a_message_may_be_so_long_and_no_longer() -> None:
    size = MOST.to_bytes(8, "big")
    end = client()
    assert to(end, b"\x82\x7f" + size) == []
    assert end.state is State.OPEN
    fails(b"\x82\x7f" + (MOST + 1).to_bytes(8, "big"), 1009)
    fails(b"\x02\x7f" + (MOST - 1).to_bytes(8, "big") + bytes(MOST - 1) + b"\x80\x02", 1009)


def test_empty_fragments_leave_nothing_behind() -> None:
    end = client()
    to(end, frame(0x02) + frame(0x00) * 10_000)
    assert to(end, frame(0x80, b"x")) == [BinaryMessage(b"x")]


def test_a_flood_of_pings_is_not_answered_in_full() -> None:
    end = client()
    to(end, b"".join(frame(0x89, b"%d" % n) for n in range(1_000)))
    out = sent(end)
    # The newest is answered in any case.
    wanted = [Ponged(b"%d" % n) for n in (*range(MAX_PONGS), 999)]
    assert to(server(), out) == wanted
    assert sent(end) == b""
    to(end, frame(0x89, b"more"))
    assert to(server(), sent(end)) == [Ponged(b"more")]


def test_a_goodbye_is_answered() -> None:
    for here, there in (pair(), pair()[::-1]):
        here.close(NOW, 1001, "going")
        assert here.state is State.CLOSING
        here.send_text("too late")
        here.ping()
        here.close(NOW)
        assert to(there, sent(here)) == [Closed(1001, "going", True)]
        assert to(here, sent(there)) == [Closed(1001, "", True)]
        assert here.closed
        assert there.closed
        assert sent(here) == sent(there) == b""
        assert here.timeout_ns() is None


def test_a_goodbye_without_a_code() -> None:
    here, there = pair()
    here.close(NOW, None)
    assert to(there, sent(here)) == [Closed(1005, "", True)]


def test_two_goodbyes_at_once() -> None:
    here, there = pair()
    here.close(NOW, 1000)
    there.close(NOW, 1001)
    from_here, from_there = sent(here), sent(there)
    assert to(here, from_there) == [Closed(1001, "", True)]
    assert to(there, from_here) == [Closed(1000, "", True)]
    assert sent(here) == sent(there) == b""


def test_what_comes_behind_our_close_is_dropped_but_read() -> None:
    end = client()
    end.close(NOW)
    sent(end)
    assert to(end, frame(0x01, b"a") + frame(0x80, b"b") + frame(0x89) + frame(0x82, b"c")) == []
    assert sent(end) == b""
    assert to(end, frame(0x88, b"\x03\xe8")) == [Closed(1000, "", True)]
    end = client()
    end.close(NOW)
    sent(end)
    *_, last = to(end, frame(0x83))
    assert last == Closed(1002, "a frame with the reserved opcode 3", False)
    assert sent(end) == b""


def test_a_goodbye_that_is_not_answered() -> None:
    end = server()
    end.close(NOW)
    assert end.timeout_ns() == NOW + CLOSE_NS
    end.handle_timeout(NOW + CLOSE_NS - 1)
    assert end.state is State.CLOSING
    end.handle_timeout(NOW + CLOSE_NS)
    assert [type(event) for event in end.events()] == [Closed]
    assert end.closed


def test_a_connection_that_is_lost() -> None:
    end = server()
    end.receive_eof()
    assert end.events() == [Closed(CloseCode.LOST, "the connection was lost", False)]
    end.receive_eof()
    assert end.events() == []
    end.send_text("x")
    end.close(NOW)
    assert sent(end) == b""


def test_a_silent_peer_is_pinged_and_given_up() -> None:
    end = WebSocket(Role.SERVER, max_message_bytes=MOST, ping_after_ns=10 * S, now_ns=NOW)
    assert end.timeout_ns() == NOW + 10 * S
    end.handle_timeout(NOW + 10 * S - 1)
    assert sent(end) == b""
    end.handle_timeout(NOW + 10 * S)
    assert sent(end) == b"\x89\x00"
    other = client()
    other.send_binary(b"")
    end.receive(sent(other), NOW + 11 * S)
    assert end.timeout_ns() == NOW + 21 * S
    for due in (21, 31):
        end.handle_timeout(NOW + due * S)
        assert sent(end) == b"\x89\x00"
    assert end.timeout_ns() == NOW + 41 * S
    end.events()
    end.handle_timeout(NOW + 41 * S)
    assert end.events() == [Closed(CloseCode.LOST, "the peer does not answer", False)]
    assert sent(end) == b""
    assert end.timeout_ns() is None


def test_without_pings_silence_lasts() -> None:
    assert server().timeout_ns() is None


@given(st.binary(max_size=300), st.lists(st.integers(1, 30), max_size=30))
def test_any_bytes_in_any_pieces_do_the_same(noise: bytes, sizes: list[int]) -> None:
    for make in (server, client):
        whole, pieces = make(), make()
        assert to(whole, noise) == to(pieces, noise, sizes)
        assert sent(whole) == sent(pieces)
        assert whole.state is pieces.state
