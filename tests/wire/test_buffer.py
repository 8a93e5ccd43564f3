from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.errors import ProtocolError
from echowarp.wire.buffer import RECORD_MAX_LEN, RECORD_MIN_LEN, StreamBuffer
from echowarp.wire.handshake import FRAME_LEN, FrameType
from tests.virtual import chunks

LENGTHS = (*range(1100), 4096, 0x4745, 32768, 65534, 65535)
BY_LEN = sorted(set(FRAME_LEN.values()))
ORDER = (
    FrameType.GREETING,
    FrameType.HELLO,
    FrameType.REPLY,
    FrameType.CONFIRM,
    FrameType.ACCEPT,
)


def frame_of(kind: FrameType, fill: int = 0xA5) -> bytes:
    length = FRAME_LEN[kind]
    return length.to_bytes(2, "big") + bytes((kind,)) + bytes((fill,)) * (length - 1)


def record_of(length: int) -> bytes:
    return length.to_bytes(2, "big") + bytes(k % 251 for k in range(length))


def buffer_with(data: bytes) -> StreamBuffer:
    buffer = StreamBuffer()
    buffer.feed(data)
    return buffer


def test_an_empty_buffer_gives_nothing() -> None:
    assert StreamBuffer().take_frame(FrameType.HELLO) is None
    assert StreamBuffer().take_record() is None


@pytest.mark.parametrize("kind", FrameType)
def test_a_frame_is_nothing_until_its_last_byte(kind: FrameType) -> None:
    frame, buffer = frame_of(kind), StreamBuffer()
    for byte in frame[:-1]:
        buffer.feed(bytes((byte,)))
        assert buffer.take_frame(kind) is None
    buffer.feed(frame[-1:])
    assert buffer.take_frame(kind) == frame
    assert buffer.take_frame(kind) is None


@pytest.mark.parametrize("length", [17, 18, 255, 256, 1039, 1040])
def test_a_record_is_nothing_until_its_last_byte(length: int) -> None:
    record, buffer = record_of(length), StreamBuffer()
    for byte in record[:-1]:
        buffer.feed(bytes((byte,)))
        assert buffer.take_record() is None
    buffer.feed(record[-1:])
    assert buffer.take_record() == record
    assert buffer.take_record() is None


def parse_all(pieces: list[bytes], record_count: int) -> list[bytes]:
    """Five frames in order, then records, each taken as soon as it is there."""
    buffer = StreamBuffer()
    found: list[bytes] = []
    for piece in pieces:
        buffer.feed(piece)
        while len(found) < len(ORDER) + record_count:
            taken = (
                buffer.take_frame(ORDER[len(found)])
                if len(found) < len(ORDER)
                else buffer.take_record()
            )
            if taken is None:
                break
            found.append(taken)
    return found


@given(
    lengths=st.lists(st.integers(RECORD_MIN_LEN, RECORD_MAX_LEN), max_size=4),
    sizes=st.lists(st.integers(0, 400), max_size=12),
)
def test_however_it_is_cut_the_same_comes_out(lengths: list[int], sizes: list[int]) -> None:
    expected = [frame_of(kind, fill) for fill, kind in enumerate(ORDER)]
    expected += [record_of(length) for length in lengths]
    data = b"".join(expected)
    assert parse_all([data], len(lengths)) == expected
    assert parse_all(list(chunks(data, sizes)), len(lengths)) == expected
    assert parse_all([bytes((byte,)) for byte in data], len(lengths)) == expected


@pytest.mark.parametrize("expected", FrameType)
def test_every_wrong_length_is_refused_from_its_two_bytes_alone(expected: FrameType) -> None:
    allowed = {FRAME_LEN[expected], FRAME_LEN[FrameType.ERROR]}
    for length in LENGTHS:
        buffer = buffer_with(length.to_bytes(2, "big"))
        if length in allowed:
            assert buffer.take_frame(expected) is None
        else:
            with pytest.raises(ProtocolError):
                buffer.take_frame(expected)


@pytest.mark.parametrize("expected", FrameType)
def test_every_wrong_type_is_refused_from_its_byte_alone(expected: FrameType) -> None:
    for length in BY_LEN:
        for kind in range(256):
            buffer = buffer_with(length.to_bytes(2, "big") + bytes((kind,)))
            fits = kind in (expected, FrameType.ERROR) and FRAME_LEN[FrameType(kind)] == length
            if fits:
                assert buffer.take_frame(expected) is None
            else:
                with pytest.raises(ProtocolError):
                    buffer.take_frame(expected)


@pytest.mark.parametrize("expected", FrameType)
def test_an_error_is_taken_wherever_a_frame_is_due(expected: FrameType) -> None:
    error = bytes.fromhex("00030f0193")
    assert buffer_with(error).take_frame(expected) == error


def test_every_record_length_outside_the_range_is_refused_from_its_two_bytes_alone() -> None:
    for length in LENGTHS:
        buffer = buffer_with(length.to_bytes(2, "big"))
        if 17 <= length <= 1040:
            assert buffer.take_record() is None
        else:
            with pytest.raises(ProtocolError):
                buffer.take_record()


def test_bytes_behind_a_frame_are_kept() -> None:
    hello, record = frame_of(FrameType.HELLO), record_of(100)
    buffer = buffer_with(hello + record[:5])
    assert buffer.take_frame(FrameType.HELLO) == hello
    assert buffer.take_record() is None
    buffer.feed(record[5:])
    assert buffer.take_record() == record


@given(
    pieces=st.lists(st.binary(max_size=80), max_size=20),
    expected=st.sampled_from((*FrameType, None)),
)
def test_random_bytes_raise_nothing_but_protocol_errors(
    pieces: list[bytes], expected: FrameType | None
) -> None:
    buffer = StreamBuffer()
    for piece in pieces:
        buffer.feed(piece)
        try:
            taken = buffer.take_record() if expected is None else buffer.take_frame(expected)
        except ProtocolError:
            return
        assert taken is None or int.from_bytes(taken[:2], "big") == len(taken) - 2
