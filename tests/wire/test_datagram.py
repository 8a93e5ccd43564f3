from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.errors import ProtocolError
from echowarp.wire import datagram
from echowarp.wire.datagram import BlockBody, DatagramType, Header

SESSION = bytes.fromhex("a0a1a2a3a4a5a6a7")
HEADER = bytes.fromhex("01 07 a0a1a2a3a4a5a6a7 0102030405060708")
PROBE_HEADER = bytes.fromhex("40 00 a0a1a2a3a4a5a6a7 0000000000000000")
BLOCK = bytes.fromhex("01020304 fffefdfc 0a0b0c")


def test_golden_headers() -> None:
    assert datagram.pack_header(DatagramType.BLOCK, 7, SESSION, 0x0102030405060708) == HEADER
    assert datagram.pack_header(DatagramType.PROBE, 0, SESSION, 0) == PROBE_HEADER
    assert datagram.parse_header(HEADER) == Header(1, 7, SESSION, 0x0102030405060708)
    assert datagram.parse_header(PROBE_HEADER + bytes(16)) == Header(0x40, 0, SESSION, 0)


def test_golden_block() -> None:
    assert datagram.pack_block(0x01020304, 0xFFFEFDFC, b"\x0a\x0b\x0c") == BLOCK
    assert datagram.parse_block(BLOCK) == BlockBody(0x01020304, 0xFFFEFDFC, b"\x0a\x0b\x0c")


def test_a_block_without_payload_is_silence() -> None:
    assert datagram.parse_block(bytes(8)) == BlockBody(0, 0, b"")


@pytest.mark.parametrize("size", range(18))
def test_a_truncated_header_is_refused(size: int) -> None:
    with pytest.raises(ProtocolError):
        datagram.parse_header(HEADER[:size])


@pytest.mark.parametrize("size", range(8))
def test_a_truncated_block_is_refused(size: int) -> None:
    with pytest.raises(ProtocolError):
        datagram.parse_block(BLOCK[:size])


def test_the_longest_datagram() -> None:
    assert datagram.parse_header(HEADER + bytes(1214)).session == SESSION
    with pytest.raises(ProtocolError):
        datagram.parse_header(HEADER + bytes(1215))


@pytest.mark.parametrize("bit", range(8 * 18))
def test_every_bit_of_the_header_matters(bit: int) -> None:
    changed = bytearray(HEADER)
    changed[bit // 8] ^= 1 << bit % 8
    assert datagram.parse_header(bytes(changed)) != datagram.parse_header(HEADER)


@given(
    kind=st.integers(0, 255),
    stream=st.integers(0, 255),
    session=st.binary(min_size=8, max_size=8),
    number=st.integers(0, 2**64 - 1),
    body=st.binary(max_size=64),
)
def test_headers_round_trip(
    kind: int, stream: int, session: bytes, number: int, body: bytes
) -> None:
    packed = datagram.pack_header(kind, stream, session, number)
    assert len(packed) == datagram.HEADER_BYTES
    assert datagram.parse_header(packed + body) == (kind, stream, session, number)


@given(
    seq=st.integers(0, 2**32 - 1), time=st.integers(0, 2**32 - 1), payload=st.binary(max_size=64)
)
def test_blocks_round_trip(seq: int, time: int, payload: bytes) -> None:
    assert datagram.parse_block(datagram.pack_block(seq, time, payload)) == (seq, time, payload)


@given(data=st.binary(max_size=1400))
def test_random_bytes_raise_nothing_but_protocol_errors(data: bytes) -> None:
    try:
        header = datagram.parse_header(data)
    except ProtocolError:
        assert not 18 <= len(data) <= 1232
    else:
        assert struct.pack(">BB8sQ", *header) == data[:18]
    try:
        body = datagram.parse_block(data)
    except ProtocolError:
        assert len(data) < 8
    else:
        assert datagram.pack_block(*body) == data
