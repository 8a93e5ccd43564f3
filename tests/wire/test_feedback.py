from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echowarp.errors import ProtocolError
from echowarp.wire import feedback
from echowarp.wire.feedback import (
    ClockAnswer,
    ClockAsk,
    Repair,
    Report,
    ReportEntry,
    Request,
)

MS = 1_000_000
U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)

REQUEST = bytes.fromhex("01020304 8000000000000005")
REPORT = bytes.fromhex("00000400 000003f0 00000005 00fa 00 0014 01a4 07 012c 03e8")
ASK = bytes.fromhex("0102030405060708")
ANSWER = bytes.fromhex("0102030405060708 1112131415161718 2122232425262728")
REPAIR = bytes.fromhex("fffffffe 0c 0a0b0c")

REPORT_VALUE = Report(
    highest=1024,
    received=1008,
    bursts=5,
    rto_ns=25 * MS,
    entries=(ReportEntry(0, 2 * MS, 42 * MS), ReportEntry(7, 30 * MS, 100 * MS)),
)


def test_golden_request() -> None:
    request = Request(0x01020304, 1 << 63 | 0b101)
    assert feedback.pack_request(request) == REQUEST
    assert feedback.parse_request(REQUEST) == request
    assert list(request.offsets()) == [0, 2, 63]


def test_golden_report() -> None:
    assert feedback.pack_report(REPORT_VALUE) == REPORT
    assert feedback.parse_report(REPORT, 2) == REPORT_VALUE
    assert feedback.parse_report(REPORT, 0)[:4] == REPORT_VALUE[:4]


def test_golden_clock() -> None:
    assert feedback.pack_clock_ask(ClockAsk(0x0102030405060708)) == ASK
    assert feedback.parse_clock_ask(ASK) == ClockAsk(0x0102030405060708)
    answer = ClockAnswer(0x0102030405060708, 0x1112131415161718, 0x2122232425262728)
    assert feedback.pack_clock_answer(answer) == ANSWER
    assert feedback.parse_clock_answer(ANSWER) == answer


def test_golden_repair() -> None:
    assert feedback.pack_repair(Repair(0xFFFFFFFE, 12, b"\x0a\x0b\x0c")) == REPAIR
    assert feedback.parse_repair(REPAIR) == Repair(0xFFFFFFFE, 12, b"\x0a\x0b\x0c")


PARSERS: list[tuple[Callable[[bytes], object], bytes, int]] = [
    (feedback.parse_request, REQUEST, len(REQUEST)),
    (lambda body: feedback.parse_report(body, 2), REPORT, len(REPORT)),
    (feedback.parse_clock_ask, ASK, len(ASK)),
    (feedback.parse_clock_answer, ANSWER, len(ANSWER)),
    (feedback.parse_repair, REPAIR, 5),
]


@pytest.mark.parametrize(("parse", "body", "least"), PARSERS)
def test_a_short_body_is_refused_and_a_longer_one_read(
    parse: Callable[[bytes], object], body: bytes, least: int
) -> None:
    for size in range(least):
        with pytest.raises(ProtocolError):
            parse(body[:size])
    parse(body[:least])
    parse(body + b"room to grow")


@pytest.mark.parametrize("width", [0, 1, 25, 255])
def test_a_row_of_an_impossible_width_is_refused(width: int) -> None:
    with pytest.raises(ProtocolError, match=str(width)):
        feedback.parse_repair(bytes(4) + bytes((width,)) + b"row")


def test_counters_wrap_and_durations_are_rounded_up_and_clamped() -> None:
    packed = feedback.pack_report(
        Report(2**32 + 5, 2**32 + 4, 2**32 + 1, 10_000_000_001, (ReportEntry(0, 1, -5),))
    )
    assert feedback.parse_report(packed, 1) == Report(
        5, 4, 1, 65535 * 100_000, (ReportEntry(0, 100_000, 0),)
    )


@given(seq=U32, bits=U64)
def test_requests_round_trip(seq: int, bits: int) -> None:
    request = Request(seq, bits)
    assert feedback.parse_request(feedback.pack_request(request)) == request
    assert sum(1 << k for k in request.offsets()) == bits


@pytest.mark.parametrize(("parse", "body", "least"), PARSERS)
@given(data=st.binary(max_size=1300))
def test_random_bytes_raise_nothing_but_protocol_errors(
    parse: Callable[[bytes], object], body: bytes, least: int, data: bytes
) -> None:
    try:
        parse(data)
    except ProtocolError:
        assert len(data) < least or parse is feedback.parse_repair


@given(data=st.binary(max_size=1300), entries=st.integers(0, 255))
def test_a_report_has_as_many_entries_as_told_or_is_refused(data: bytes, entries: int) -> None:
    try:
        assert len(feedback.parse_report(data, entries).entries) == entries
    except ProtocolError:
        assert len(data) < 14 + 5 * entries
