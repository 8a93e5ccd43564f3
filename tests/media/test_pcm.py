"""Conversion to 16 bits against slow references, and the level meter."""

from __future__ import annotations

import math
import random
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.media.pcm import SILENCE_DB, SampleEncoding, level_db, to_s16


def slow_integer(value: int, drop_bits: int) -> int:
    rounded = math.floor(value / (1 << drop_bits) + 0.5)
    return max(-32768, min(32767, rounded))


def slow_float(value: float) -> int:
    if math.isnan(value):
        return 0
    if math.isinf(value):
        return 32767 if value > 0 else -32768
    return round(max(-32768.0, min(32767.0, value * 32768)))


def s16(values: list[int]) -> bytes:
    return struct.pack(f"<{len(values)}h", *values)


def test_every_8_bit_sample() -> None:
    data = bytes(range(256))
    assert to_s16(data, SampleEncoding.U8) == s16([(value - 128) * 256 for value in data])


def test_every_16_bit_sample_is_left_alone() -> None:
    data = s16(list(range(-32768, 32768)))
    assert to_s16(data, SampleEncoding.S16) == data


def test_every_24_bit_sample() -> None:
    # All 2**24 values: 256 neighbours share an upper part, so each run of 256 is one
    # value 128 times and then the next one 128 times.
    for high in range(-128, 128):
        data = bytearray(3 * 65536)
        data[0::3] = bytes(range(256)) * 256
        data[1::3] = b"".join(bytes([middle]) * 256 for middle in range(256))
        data[2::3] = bytes([high & 0xFF]) * 65536
        uppers = range(high << 8, (high + 1) << 8)
        expected = b"".join(
            struct.pack("<h", upper) * 128 + struct.pack("<h", min(32767, upper + 1)) * 128
            for upper in uppers
        )
        assert to_s16(bytes(data), SampleEncoding.S24) == expected


@given(st.lists(st.integers(-(2**23), 2**23 - 1)))
def test_24_bit_against_the_slow_reference(values: list[int]) -> None:
    data = b"".join(value.to_bytes(3, "little", signed=True) for value in values)
    assert to_s16(data, SampleEncoding.S24) == s16([slow_integer(v, 8) for v in values])


@given(st.lists(st.integers(-(2**31), 2**31 - 1)))
def test_32_bit_against_the_slow_reference(values: list[int]) -> None:
    data = struct.pack(f"<{len(values)}i", *values)
    assert to_s16(data, SampleEncoding.S32) == s16([slow_integer(v, 16) for v in values])


def test_32_bit_around_every_rounding_edge() -> None:
    values = []
    for upper in range(-32768, 32768):
        base = upper << 16
        values += [base, base + 0x7FFF, base + 0x8000, base + 0xFFFF]
    data = struct.pack(f"<{len(values)}i", *values)
    assert to_s16(data, SampleEncoding.S32) == s16([slow_integer(v, 16) for v in values])


@given(st.lists(st.floats(width=32)))
def test_float_32_against_the_slow_reference(values: list[float]) -> None:
    data = struct.pack(f"<{len(values)}f", *values)
    assert to_s16(data, SampleEncoding.F32) == s16([slow_float(v) for v in values])


@given(st.lists(st.one_of(st.floats(), st.floats(-1.5, 1.5))))
def test_float_64_against_the_slow_reference(values: list[float]) -> None:
    data = struct.pack(f"<{len(values)}d", *values)
    assert to_s16(data, SampleEncoding.F64) == s16([slow_float(v) for v in values])


@pytest.mark.parametrize("encoding", [SampleEncoding.F32, SampleEncoding.F64])
def test_every_16_bit_value_survives_as_a_float(encoding: SampleEncoding) -> None:
    wanted = list(range(-32768, 32768))
    code = "f" if encoding is SampleEncoding.F32 else "d"
    data = struct.pack(f"<{len(wanted)}{code}", *(value / 32768 for value in wanted))
    assert to_s16(data, encoding) == s16(wanted)


def test_floats_halfway_clipped_and_not_numbers() -> None:
    values = [0.5 / 32768, 1.5 / 32768, -0.5 / 32768, 1.0, 2.0, -1.0, -1.1, math.nan]
    values += [math.inf, -math.inf, 32767.4 / 32768, 1e300, -1e300, 5e-324]
    data = struct.pack(f"<{len(values)}d", *values)
    assert to_s16(data, SampleEncoding.F64) == s16(
        [0, 2, 0, 32767, 32767, -32768, -32768, 0, 32767, -32768, 32767, 32767, -32768, 0]
    )


@pytest.mark.parametrize("encoding", list(SampleEncoding))
def test_nothing_is_nothing(encoding: SampleEncoding) -> None:
    assert to_s16(b"", encoding) == b""


@pytest.mark.parametrize(
    "encoding", [each for each in SampleEncoding if each is not SampleEncoding.U8]
)
def test_part_of_a_sample_is_refused(encoding: SampleEncoding) -> None:
    with pytest.raises(ValueError):
        to_s16(bytes(encoding.sample_bytes + 1), encoding)


@pytest.mark.parametrize("encoding", list(SampleEncoding))
def test_a_block_of_8_channels_converts_within_a_millisecond(encoding: SampleEncoding) -> None:
    count = 240 * 8
    rng = random.Random(1)
    if encoding in (SampleEncoding.F32, SampleEncoding.F64):
        code = "f" if encoding is SampleEncoding.F32 else "d"
        # Some are out of range: the slow way of the clipped block counts too.
        data = struct.pack(f"<{count}{code}", *(rng.uniform(-1.1, 1.1) for _ in range(count)))
    else:
        data = rng.randbytes(count * encoding.sample_bytes)
    best_s = 1.0
    for _ in range(20):
        start = time.perf_counter()
        to_s16(data, encoding)
        best_s = min(best_s, time.perf_counter() - start)
    assert best_s < 0.001


def test_silence_is_the_floor() -> None:
    assert level_db(b"") == SILENCE_DB
    assert level_db(bytes(960)) == SILENCE_DB


def test_full_scale_square_is_0_db() -> None:
    assert level_db(s16([-32768] * 480)) == 0.0
    assert level_db(s16([32767, -32767] * 240)) == pytest.approx(0.0, abs=0.001)


@pytest.mark.parametrize("channels", range(1, 9))
def test_every_channel_is_heard(channels: int) -> None:
    for channel in range(channels):
        frame = [0] * channels
        frame[channel] = 16384
        expected = -6.02 - 10 * math.log10(channels)
        assert level_db(s16(frame * 240)) == pytest.approx(expected, abs=0.6)


def test_a_sine_is_3_db_below_its_peak() -> None:
    wave = [round(16384 * math.sin(2 * math.pi * 997 * n / 48000)) for n in range(4800)]
    assert level_db(s16(wave)) == pytest.approx(-9.03, abs=0.1)
