from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.wire.websocket_frames import (
    CloseCode,
    FrameError,
    FrameHead,
    Opcode,
    apply_mask,
    pack_close,
    pack_frame,
    pack_head,
    parse_close,
    parse_head,
)

MASK = bytes.fromhex("37fa213d")
GOLDEN = [
    (Opcode.TEXT, 5, b"", "81 05"),
    (Opcode.TEXT, 5, MASK, "81 85 37fa213d"),
    (Opcode.BINARY, 125, b"", "82 7d"),
    (Opcode.BINARY, 126, b"", "82 7e 007e"),
    (Opcode.BINARY, 256, MASK, "82 fe 0100 37fa213d"),
    (Opcode.BINARY, 65_535, b"", "82 7e ffff"),
    (Opcode.BINARY, 65_536, b"", "82 7f 0000000000010000"),
    (Opcode.CLOSE, 0, b"", "88 00"),
    (Opcode.PING, 5, b"", "89 05"),
    (Opcode.PONG, 5, MASK, "8a 85 37fa213d"),
]


@pytest.mark.parametrize(("opcode", "size", "mask", "golden"), GOLDEN)
def test_golden_heads(opcode: Opcode, size: int, mask: bytes, golden: str) -> None:
    packed = bytes.fromhex(golden)
    assert pack_head(opcode, size, mask) == packed
    wanted = FrameHead(True, opcode, size, mask, len(packed))
    assert parse_head(bytearray(b"xx" + packed), 2, masked=bool(mask)) == wanted
    for length in range(len(packed)):
        assert parse_head(bytearray(packed[:length]), 0, masked=bool(mask)) is None


def test_a_fragment() -> None:
    assert parse_head(bytearray(b"\x01\x03"), 0, masked=False) == FrameHead(
        False, Opcode.TEXT, 3, b"", 2
    )


@pytest.mark.parametrize(
    "head",
    [
        *("c1", "a1", "91", "f2"),
        *("83", "84", "85", "86", "87", "8b", "8c", "8d", "8e", "8f"),
        *("08", "09", "0a"),
        *("8180", "81ff"),
        *("887e", "897e", "8a7f"),
        *("817e0000", "817e007d", "817f000000000000ffff", "817f8000000000000000"),
    ],
)
def test_bad_heads_are_refused_at_once(head: str) -> None:
    data = bytearray.fromhex(head)
    with pytest.raises(FrameError) as caught:
        parse_head(data, 0, masked=False)
    assert caught.value.code is CloseCode.PROTOCOL
    for length in range(len(data)):
        assert parse_head(data[:length], 0, masked=False) is None


def test_a_mask_that_is_missing() -> None:
    with pytest.raises(FrameError):
        parse_head(bytearray(b"\x81\x00"), 0, masked=True)


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4), st.integers(0, 9))
def test_a_mask_is_applied_byte_by_byte(payload: bytes, mask: bytes, at: int) -> None:
    data = bytearray(at) + payload
    apply_mask(data, mask, at)
    assert data == bytes(at) + bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
    apply_mask(data, mask, at)
    assert data == bytes(at) + payload


@pytest.mark.parametrize("size", [0, 1, 125, 126, 8_192, 65_535, 65_536])
def test_a_masked_frame(size: int) -> None:
    payload = bytes(n % 251 for n in range(size))
    frame = pack_frame(Opcode.BINARY, payload, MASK)
    head = parse_head(frame, 0, masked=True)
    assert head is not None and (head.payload_bytes, head.mask) == (size, MASK)
    assert frame[head.head_bytes :] == bytes(b ^ MASK[n % 4] for n, b in enumerate(payload))


@pytest.mark.parametrize("code", [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999])
def test_codes_that_may_be_sent(code: int) -> None:
    assert parse_close(pack_close(code, "why é")) == (code, "why é")


@pytest.mark.parametrize(
    "code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]
)
def test_codes_that_may_not_be_sent(code: int) -> None:
    with pytest.raises(FrameError) as caught:
        parse_close(code.to_bytes(2, "big"))
    assert caught.value.code is CloseCode.PROTOCOL


def test_a_close_may_be_empty_but_not_half() -> None:
    assert parse_close(b"") == (None, "")
    assert pack_close(None, "") == b""
    with pytest.raises(FrameError):
        parse_close(b"\x03")


def test_a_reason_is_utf8() -> None:
    with pytest.raises(FrameError) as caught:
        parse_close(b"\x03\xe8\xff")
    assert caught.value.code is CloseCode.INVALID_TEXT


def test_a_long_reason_is_cut_between_letters() -> None:
    packed = pack_close(1000, "é" * 100)
    assert len(packed) == 124
    assert parse_close(packed) == (1000, "é" * 61)
